// What an attachment publishes: ports of the host that lead to ports of the container.
import type { Attachment } from './attachment.ts'

/** What publishing knows of; all of them have ports. */
export type Protocol = 'tcp' | 'udp' | 'sctp'

/** A port of the host. */
export interface HostPort {
  readonly protocol: Protocol
  /** The host's address that it is published on, in canonical form and of the container's family; undefined is all. */
  readonly hostIp: string | undefined
  readonly hostPort: number
}

/** One port of the host that leads to one of the container. */
export interface Mapping extends HostPort {
  /** In canonical form, without prefix length. */
  readonly containerIp: string
  readonly containerPort: number
}

/** All that an attachment publishes, and whose connections carry the host's address then. */
export interface Publication {
  readonly attachment: Attachment
  /** With prefix length, the first of each family; whether or not anything of that family is published. */
  readonly addresses: readonly string[]
  readonly mappings: readonly Mapping[]
  /** Connections of the container to itself and, in IPv4, from the host's loopback are masqueraded. */
  readonly snat: boolean
  /** All connections to the published ports are. */
  readonly masqAll: boolean
  /** Bit of the packet mark that says so, 0 to 31. */
  readonly markMasqBit: number
  /** The chain of iptables table nat that marks in place of ours. */
  readonly externalSetMarkChain: string | undefined
  /** Further conditions as the backend writes them, by family; empty is none. */
  readonly conditions: Readonly<Record<'ipv4' | 'ipv6', readonly string[]>>
}
