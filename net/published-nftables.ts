// Published ports in nftables: see published-nftables-table.ts. What maps cannot say has a chain of the attachment's
// own: ports under conditions, and ports that another interface of the same container has published first.
import { tolerate } from '#sys/errno.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import { ip, ip6, l4proto, th } from '#netlink/nftables/match.ts'
import { dnatTo, goto, jump } from '#netlink/nftables/statement.ts'
import type { RulePart, Transaction } from '#netlink/nftables/transaction.ts'
import { linkTowards } from '#netlink/route/way.ts'
import { comment, hostLinkName } from './attachment.ts'
import { parseConditions } from './conditions.ts'
import * as localhost from './localhost.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping, Publication } from './publication.ts'
import { claim, remarkOf } from './published-nftables-claim.ts'
import { addWay, chainOf, isReady, type Way } from './published-nftables-link.ts'
import { erase, findContainer, remove, reviseBeyond } from './published-nftables-removal.ts'
import {
  addShared, attachments, counters, incomplete, maps, placeOf, published, registrationOf, valueOf, type Dispatcher,
} from './published-nftables-table.ts'
import { tableOf } from './table.ts'

/** A container's address, and how its connections come back to the host; without a way they are left alone. */
export interface Container { readonly family: Family; readonly ip: string; readonly way: Way | undefined }

/** The addresses that ports lead to. */
export const containersOf = (host: Namespace, { mappings, snat, masqAll }: Publication): Container[] =>
  [...new Set(mappings.map(({ containerIp }) => containerIp))].map(ip => {
    const dev = snat ? linkTowards(host.rtnetlink, ip) : undefined
    const way = dev === undefined ? undefined : { link: host.link.at(dev).name, all: masqAll }
    return { family: familyOf(ip), ip, way }
  })

/** The chain of an attachment's own. */
export const ownChain = ({ attachment }: Publication, dispatcher: Dispatcher): string =>
  `${dispatcher}_${hostLinkName(attachment)}`

/** What a mapping says as a rule. */
const ruleOf = ({ protocol, hostIp, hostPort, containerIp, containerPort }: Mapping): readonly RulePart[] => [
  ...hostIp === undefined ? [] : [(familyOf(hostIp) === 'ipv4' ? ip : ip6).daddr.is(hostIp)],
  l4proto.is(protocol), th.dport.is(`${hostPort}`), dnatTo(containerIp, containerPort),
]

const isConditional = ({ conditions }: Publication, { containerIp }: Mapping): boolean =>
  conditions[familyOf(containerIp)].length > 0

/** Mappings that the maps can have, and those that they cannot. */
export const partition = (publication: Publication): Record<'plain' | 'conditional', readonly Mapping[]> => ({
  plain: publication.mappings.filter(mapping => !isConditional(publication, mapping)),
  conditional: publication.mappings.filter(mapping => isConditional(publication, mapping)),
})

const addBranch = (tx: Transaction, publication: Publication, dispatcher: Dispatcher, mappings: readonly Mapping[]) => {
  if (mappings.length === 0) return
  const table = tableOf(tx, published)
  const chain = table.chain(ownChain(publication, dispatcher)).add()
  for (const mapping of mappings) {
    const family = familyOf(mapping.containerIp)
    const conditions = dispatcher === 'conditional' ? parseConditions(family, publication.conditions[family]) : []
    chain.rule(conditions, ...ruleOf(mapping), { comment: remarkOf(mapping) })
  }
  table.chain(dispatcher).rule(jump(chain.name), { comment: comment(publication.attachment) })
}

/**
 * Writes everything of an attachment.
 * @param careful replaces what stale owners of the container's addresses have
 * @throws NetlinkError EEXIST when something is there, unless careful
 */
const write = (
  host: Namespace, publication: Publication, containers: readonly Container[], careful: boolean,
): void => reviseBeyond(host, tx => {
  const { attachment } = publication
  const { plain, conditional } = partition(publication)
  const { free, shared } = claim(host, publication, plain, careful)
  const remark = { comment: comment(attachment), exclusive: true }
  const table = tableOf(tx, published)
  const ways = containers.flatMap(({ way }) => way ?? [])

  if (incomplete(host) !== undefined) addShared(tx)
  for (const way of new Map(ways.map(way => [chainOf(way), way])).values())
    if (!isReady(host, way)) addWay(host, tx, way)
  const isPlain = free.length === publication.mappings.length && free.every(({ hostIp }) => hostIp === undefined)
  const counter = isPlain ? counters.plain : counters.special
  table.map(attachments.name, attachments.type).insert(hostLinkName(attachment), goto(counter), {
    ...remark, comment: registrationOf(comment(attachment), free.length),
  })
  const stale = (careful ? containers : []).flatMap(({ family, ip, way }) => {
    const found = way && findContainer(host, ip)
    return found ? [{ family, key: ip, chain: found.verdict?.chain ?? '' }] : []
  })
  const traces = { ports: [], registrations: [], branches: [], containers: stale }
  const takeBack = erase(host, tx, traces, new Set(ways.map(chainOf)))
  for (const { family, ip, way } of containers) {
    if (way === undefined) continue
    const { name, type } = maps[family].containers
    table.map(name, type).insert(ip, goto(chainOf(way)), remark)
  }
  for (const mapping of free) {
    const { map, key } = placeOf(mapping)
    const { name, type, of } = maps[familyOf(mapping.containerIp)][map]
    table.valueMap(name, type, of).insert(key, valueOf(mapping), remark)
  }
  addBranch(tx, publication, 'conditional', conditional)
  addBranch(tx, publication, 'shared', shared)
  return takeBack
})

/**
 * Publishes the ports of an attachment. What it has published before is replaced.
 * @throws PortTaken when another container has one of the ports; nothing has changed then
 */
export const add = (
  host: Namespace, publication: Publication, containers: readonly Container[] = containersOf(host, publication),
): void => {
  const done = tolerate(['EEXIST'], () => { write(host, publication, containers, false); return true })
  if (!done) {
    claim(host, publication, partition(publication).plain, true)
    remove(host, publication.attachment)
    write(host, publication, containers, true)
  }
  // Once the rules are there that guard it.
  for (const { family, way } of containers) if (way !== undefined) localhost.open(host, way.link, family)
}

/**
 * Opens the links to an attachment's IPv4 addresses to the host's loopback ones, and guards these, for ports that
 * somebody else's rules publish. `remove` of published-nftables-removal.ts ends it.
 */
export const addGuard = (host: Namespace, publication: Publication): void => {
  const containers = containersOf(host, publication).filter(({ family, way }) => family === 'ipv4' && way !== undefined)
  if (containers.length > 0) add(host, { ...publication, mappings: [] }, containers)
}
