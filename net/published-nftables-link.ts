// The links that lead to containers with published ports: which connections to them carry the host's address, and that
// connections from the host's loopback addresses leave by them.
import { hasNoIngress, iifname, ip, ip6, isFromElsewhere } from '#netlink/nftables/match.ts'
import { findChain } from '#netlink/nftables/query.ts'
import { masquerade } from '#netlink/nftables/statement.ts'
import type { RulePart, Transaction } from '#netlink/nftables/transaction.ts'
import { sha256 } from '#sys/digest.ts'
import * as localhost from './localhost.ts'
import type { Namespace } from './namespace.ts'
import { published, uses } from './published-nftables-table.ts'
import { tableOf } from './table.ts'

/** A link, and whether all connections through it are meant or only those that would not find back. */
export interface Way { readonly link: string; readonly all: boolean }

const prefixes = { all: 'all_', some: 'hairpin_' } as const

/** The chain of a link. Link names may hold what nft takes in no name of its own. */
export const chainOf = ({ link, all }: Way): string =>
  prefixes[all ? 'all' : 'some'] + (/^[\w.-]+$/.test(link) ? link : sha256(link).slice(0, 16))

const rulesOf = ({ link, all }: Way): readonly RulePart[][] => all ? [[masquerade]] : [
  // From the container itself or a neighbour on its link: the answer would not come by the host.
  [iifname.is(link), masquerade],
  // The same where br_netfilter has bridged packets pass here.
  [hasNoIngress, isFromElsewhere, masquerade],
  [ip.saddr.in('127.0.0.0/8'), masquerade],
  [ip6.saddr.is('::1'), masquerade],
]

/** What a chain's comment tells: the link, and how route_localnet was. Quotation marks are not for comments. */
const describe = (link: string, before: string): string => `${link.replaceAll('"', '')} route_localnet ${before}`

const chainsOf = (link: string): string[] => [chainOf({ link, all: false }), chainOf({ link, all: true })]

/** Whether the chain of a way is there with all its rules. */
export const isReady = (host: Namespace, way: Way): boolean => uses(host, chainOf(way)) >= rulesOf(way).length

/** Makes the chain of a way, or gives it its rules again. */
export const addWay = (host: Namespace, tx: Transaction, way: Way): void => {
  const known = chainsOf(way.link).map(chain => findChain(host.netfilter, published, chain)?.comment).find(text => text)
  const comment = known ?? describe(way.link, localhost.restingIpv4(host, way.link))
  const chain = tableOf(tx, published).chain(chainOf(way)).add({ comment }).flush()
  for (const rule of rulesOf(way)) chain.rule(...rule)
}

/** Whether a chain is one of a link, so that it goes with the last container behind it. */
export const isWay = (chain: string): boolean => Object.values(prefixes).some(prefix => chain.startsWith(prefix))

/**
 * Deletes those of the chains that nothing but `leaving` uses, and closes their links to the host's loopback addresses.
 * @param leaving how many elements of each chain go in the same transaction
 * @param all whether no element at all stays
 * @returns how to take the latter back, should the transaction come to nothing
 */
export const removeWays = (
  host: Namespace, tx: Transaction, leaving: ReadonlyMap<string, number>, all: boolean,
): (() => void)[] => {
  const unused = [...leaving].flatMap(([name, count]) => {
    const chain = isWay(name) ? findChain(host.netfilter, published, name) : undefined
    const own = rulesOf({ link: '', all: name.startsWith(prefixes.all) }).length
    return chain && (all || chain.use === own + count) ? [chain] : []
  })
  const names = new Set(unused.map(({ name }) => name))
  for (const name of names) tableOf(tx, published).chain(name).delete()
  return unused.flatMap(({ comment }) => {
    const [, link, before] = /^(\S+) route_localnet (\d)$/.exec(comment) ?? []
    if (link === undefined || before === undefined) return []
    const isInUse = chainsOf(link).some(chain =>
      !names.has(chain) && findChain(host.netfilter, published, chain) !== undefined)
    return isInUse ? [] : [localhost.close(host, link, before)]
  })
}
