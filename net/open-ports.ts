// Ports of containers that are reached through the containers' own addresses, where the gateway mode of their network
// keeps all others shut: gateway-mode.ts has the rules that ask for them.
import { elements, findElement, revise } from '#netlink/nftables/query.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import { comment, networkComment, type Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping } from './publication.ts'
import { fairlead, tableOf } from './table.ts'

/** By family: the container's address, protocol and port. */
export const openSets = {
  ipv4: { name: 'open4', type: 'ipv4_addr . inet_proto . inet_service' },
  ipv6: { name: 'open6', type: 'ipv6_addr . inet_proto . inet_service' },
} as const satisfies Record<Family, object>

const families = ['ipv4', 'ipv6'] as const

type Port = Pick<Mapping, 'containerIp' | 'protocol' | 'containerPort'>

/** One port of a container may be published several times. */
const keysOf = (ports: readonly Port[], family: Family): readonly string[] => [...new Set(ports
  .filter(({ containerIp }) => familyOf(containerIp) === family)
  .map(({ containerIp, protocol, containerPort }) => `${containerIp} . ${protocol} . ${containerPort}`))]

const ownerOf = (host: Namespace, family: Family, key: string): string | undefined =>
  findElement(host.netfilter, fairlead, openSets[family].name, openSets[family].type, key)?.comment

/**
 * Opens ports of an attachment, in the place of what an earlier owner of the addresses had. For networks that
 * `guardOf` of gateway-mode.ts knows.
 */
export const open = (host: Namespace, attachment: Attachment, ports: readonly Port[]): void =>
  revise(host.netfilter, tx => {
    for (const family of families) {
      const set = tableOf(tx, fairlead).set(openSets[family].name, openSets[family].type)
      for (const key of keysOf(ports, family)) set.replace(key, undefined, { comment: comment(attachment) })
    }
  })

const removeStale = (
  host: Namespace, isStale: (owner: string) => boolean, ports: readonly Port[] | undefined,
): boolean => {
  let found = false
  revise(host.netfilter, tx => {
    found = false
    for (const family of families) {
      const { name, type } = openSets[family]
      const candidates = ports === undefined
        ? elements(host.netfilter, fairlead, name, type).map(element => ({ key: element.key, owner: element.comment }))
        : keysOf(ports, family).map(key => ({ key, owner: ownerOf(host, family, key) }))
      for (const { key, owner } of candidates) {
        if (owner === undefined || !isStale(owner)) continue
        found = true
        tableOf(tx, fairlead).set(name, type).remove(key)
      }
    }
  })
  return found
}

/**
 * Shuts the ports of an attachment; fine when none are open.
 * @param ports where to look first; all are looked through when none of these is the attachment's
 */
export const shut = (host: Namespace, attachment: Attachment, ports: readonly Port[] = []): void => {
  const isOwn = (owner: string): boolean => owner === comment(attachment)
  if (ports.length === 0 || !removeStale(host, isOwn, ports)) removeStale(host, isOwn, undefined)
}

/** Shuts the ports of a network's attachments that are not among `valid`. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const kept = new Set(valid.map(comment))
  removeStale(host, owner => owner.startsWith(networkComment(network)) && !kept.has(owner), undefined)
}

/** Sees that the ports of an attachment are open. @throws Error naming the first that is not */
export const check = (host: Namespace, attachment: Attachment, ports: readonly Port[]): void => {
  for (const family of families) {
    const lost = keysOf(ports, family).find(key => ownerOf(host, family, key) !== comment(attachment))
    if (lost !== undefined) {
      throw new Error(`portmap: ${lost} is missing in set ${openSets[family].name} of nftables table inet fairlead; ` +
        'add the container again')
    }
  }
}
