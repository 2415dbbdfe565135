// Connections from before a port led where it does now. UDP has no end that the kernel could see, so a client that goes
// on sending would keep the old way: moby #8795, containernetworking/plugins #1190.
import { tolerate } from '#sys/errno.ts'
import { list, remove, type Connection } from '#netlink/conntrack.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping } from './publication.ts'

const UDP = 17 // IPPROTO_UDP of include/uapi/linux/in.h

/** Where connections were sent to, and who answers them. */
export interface Flow { readonly family: Family; readonly hostIp: string | undefined; readonly hostPort: number }

/** Without connection tracking, or a way to look at it, there is nothing to forget. */
const absent = ['EINVAL', 'EOPNOTSUPP', 'ENOENT']

const forgetFamily = (
  host: Namespace, family: Family, flows: readonly Flow[], isStale: (connection: Connection) => boolean,
): void => {
  const only = flows.length === 1 ? flows[0]!.hostPort : undefined
  const isMeant = ({ destination, destinationPort }: Connection): boolean => flows.some(({ hostIp, hostPort }) =>
    hostPort === destinationPort && (hostIp === undefined || hostIp === destination))
  const found = list(host.netfilter, { family, protocol: UDP, destinationPort: only })
    .filter(connection => isMeant(connection) && isStale(connection))
    .map(({ destination, destinationPort, replySource }) => ({ destination, destinationPort, replySource }))
  // However many there are, each way is asked for once.
  for (const way of new Map(found.map(way => [JSON.stringify(way), way])).values())
    remove(host.netfilter, { family, protocol: UDP, ...way })
}

const forget = (host: Namespace, flows: readonly Flow[], isStale: (connection: Connection) => boolean): void => {
  for (const family of new Set(flows.map(flow => flow.family))) {
    tolerate(absent, () => forgetFamily(host, family, flows.filter(flow => flow.family === family), isStale))
  }
}

/** Forgets connections to ports that have just been published. What only passes through the host goes on. */
export const forgetEarlier = (host: Namespace, mappings: readonly Mapping[]): void => {
  let addresses: ReadonlySet<string> | undefined
  const isLocal = (address: string): boolean =>
    (addresses ??= new Set(host.addr.list().map(({ address }) => address.split('/')[0]!))).has(address) ||
      address.startsWith('127.')
  const own = mappings.filter(({ protocol }) => protocol === 'udp')
  const flows = own.map(({ hostIp, hostPort, containerIp }) => ({ family: familyOf(containerIp), hostIp, hostPort }))
  const containers = new Set(own.map(({ containerIp }) => containerIp))
  forget(host, flows, ({ destination, replySource }) => !containers.has(replySource) && isLocal(destination))
}

/** Forgets connections to ports that were published until now, by the addresses of the containers behind them. */
export const forgetLater = (host: Namespace, flows: readonly Flow[], containers: ReadonlySet<string>): void =>
  forget(host, flows, ({ replySource }) => containers.has(replySource))
