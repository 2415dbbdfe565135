// Internal networks: what a bridge's containers send stays on the bridge or goes to the host, and nothing is routed to
// them (Docker's `--internal`). The packets of other bridges cost two lookups and never walk a rule of an internal one.
import { iifname, oifname } from '#netlink/nftables/match.ts'
import { findChain, findElement, looksUp, revise, rules } from '#netlink/nftables/query.ts'
import { drop, goto, returns } from '#netlink/nftables/statement.ts'
import { commit } from '#netlink/nftables/transaction.ts'
import { sha256 } from '#sys/digest.ts'
import type { Namespace } from './namespace.ts'
import { addTable, bases, fairlead, giveUpTable, tableOf } from './table.ts'

const MAP = { name: 'internal', type: 'ifname' } as const
/** Those who come from the bridge, those who go there. */
const BASE_RULES = 2
const BRIDGE_RULES = 2

/** The chain of a bridge. Link names may hold what nft takes in no name of its own. */
const chainOf = (bridge: string): string =>
  `internal_${/^[\w.-]+$/.test(bridge) ? bridge : sha256(bridge).slice(0, 16)}`

const isListed = (host: Namespace, bridge: string): boolean =>
  findElement(host.netfilter, fairlead, MAP.name, MAP.type, bridge) !== undefined

const hasBaseRules = (host: Namespace): boolean =>
  rules(host.netfilter, fairlead, bases.internal)
    .filter(({ expressions }) => looksUp(expressions, MAP.name)).length >= BASE_RULES

const hasRules = (host: Namespace, bridge: string): boolean =>
  (findChain(host.netfilter, fairlead, chainOf(bridge))?.use ?? 0) > BRIDGE_RULES

/** Isolates a bridge; fine when it is. Before its first address, so that no packet slips through. */
export const add = (host: Namespace, bridge: string): void => {
  if (isListed(host, bridge) && hasRules(host, bridge) && hasBaseRules(host)) return
  const chain = chainOf(bridge)
  const remark = { comment: `fairlead:bridge ${bridge.replaceAll('"', '')}` }
  commit(host.netfilter, tx => {
    const table = addTable(tx, fairlead)
    const map = table.map(MAP.name, MAP.type).add({ comment: 'bridges of internal networks' })
    table.chain(bases.internal).add({ type: 'filter', hook: 'forward', priority: 'filter' }).flush()
      .rule(iifname.vmap(MAP.name))
      .rule(oifname.vmap(MAP.name))
    // Frames between two ports come here, too, where br_netfilter has them pass as routed packets.
    table.chain(chain).add(remark).flush()
      .rule(iifname.is(bridge), oifname.is(bridge), returns)
      .rule(drop)
    map.insert(bridge, goto(chain), remark)
  })
}

/** Ends the isolation; fine when there is none. */
export const remove = (host: Namespace, bridge: string): void => {
  // Spares the usual bridge the rest.
  if (!isListed(host, bridge)) return
  revise(host.netfilter, tx => {
    if (!isListed(host, bridge)) return
    const table = tableOf(tx, fairlead)
    table.map(MAP.name, MAP.type).remove(bridge)
    table.chain(chainOf(bridge)).delete()
    giveUpTable(host, tx, [chainOf(bridge)])
  })
}

/** Sees that a bridge is isolated. @throws Error naming what is missing */
export const check = (host: Namespace, bridge: string): void => {
  const missing = (what: string): Error =>
    new Error(`internal: ${what} is missing in nftables table inet fairlead; add a container again`)
  if (!isListed(host, bridge)) throw missing(`${bridge} in map ${MAP.name}`)
  if (!hasRules(host, bridge)) throw missing(`a rule of chain ${chainOf(bridge)}`)
  if (!hasBaseRules(host)) throw missing(`a rule of chain ${bases.internal}`)
}
