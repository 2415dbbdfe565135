// Who reaches the containers of a bridge through the host: Docker's gateway modes, as rules for what is routed to it.
// One lookup leads a packet to the chain of its bridge, so that the packets of other bridges never walk it.
// https://docs.docker.com/engine/network/port-publishing/#gateway-modes
import type { Family } from '#netlink/ip.ts'
import { concat, ct, iifname, ip, ip6, l4proto, nfproto, oifname, th } from '#netlink/nftables/match.ts'
import { findChain, findElement, looksUp, revise, rules } from '#netlink/nftables/query.ts'
import { accept, drop, goto } from '#netlink/nftables/statement.ts'
import type { RulePart } from '#netlink/nftables/transaction.ts'
import { sha256 } from '#sys/digest.ts'
import type { Namespace } from './namespace.ts'
import { openSets } from './open-ports.ts'
import { addTable, bases, fairlead, giveUpTable, tableOf } from './table.ts'

/**
 * - `nat`: published ports, through an address of the host
 * - `nat-unprotected`: the same, and every port of the container from outside the host
 * - `routed`: published ports, through the container's own address
 * - `isolated`: nothing
 */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated'

/** A family without a mode is open. */
export type Modes = Readonly<Partial<Record<Family, GatewayMode | undefined>>>

export interface Access {
  readonly modes: Modes
  /** Whether containers of the bridge reach each other, as far as the host routes it. */
  readonly icc: boolean
  /** Links of the host behind which published ports are reached through the container's own address, too. */
  readonly trusted: readonly string[]
}

const MAP = { name: 'networks', type: 'ifname' } as const
/** The same bridges, for those who come from one of them: a map cannot be asked whether it has a key. */
const SET = { name: 'bridges', type: 'ifname' } as const
/** Bridges whose containers do not reach their host either, by family. */
const isolated = {
  ipv4: { name: 'isolated4', type: 'ifname' }, ipv6: { name: 'isolated6', type: 'ifname' },
} as const

const families = ['ipv4', 'ipv6'] as const
const daddr = { ipv4: ip.daddr, ipv6: ip6.daddr } as const
const echo = { ipv4: 'icmp', ipv6: 'ipv6-icmp' } as const

/** The chain of a bridge. Link names may hold what nft takes in no name of its own. */
const chainOf = (bridge: string): string =>
  `network_${/^[\w.-]+$/.test(bridge) ? bridge : sha256(bridge).slice(0, 16)}`

const isOpen = (family: Family) => concat(daddr[family], l4proto, th.dport).inSet(openSets[family].name)

const modeRules = (family: Family, trusted: readonly string[]): Record<GatewayMode, readonly RulePart[][]> => {
  const published = [nfproto[family], ct.isTranslated, accept]
  return {
    nat: [
      published, ...trusted.map(link => [iifname.is(link), isOpen(family), accept]), [nfproto[family], drop],
    ],
    'nat-unprotected': [published, [nfproto[family], iifname.inSet(SET.name), drop]],
    routed: [[isOpen(family), accept], [l4proto.is(echo[family]), accept], [nfproto[family], drop]],
    isolated: [[nfproto[family], drop]],
  }
}

const rulesOf = (bridge: string, { modes, icc, trusted }: Access): readonly RulePart[][] => [
  [ct.state('established', 'related'), accept],
  [iifname.is(bridge), icc ? accept : drop],
  ...families.flatMap(family => modes[family] ? modeRules(family, trusted)[modes[family]] : []),
]

/** What the map says of a bridge. The modes are read from it again: portmap's configuration does not know them. */
const commentOf = (bridge: string, { modes, icc, trusted }: Access): string => [
  `fairlead:bridge ${bridge.replaceAll('"', '')}`,
  ...families.flatMap(family => modes[family] ? [`${family}=${modes[family]}`] : []),
  `icc=${icc}`,
  ...trusted.length > 0 ? [`trusted=${sha256(trusted.join('/')).slice(0, 8)}`] : [],
].join(' ')

const stated = (host: Namespace, link: string) =>
  findElement(host.netfilter, fairlead, MAP.name, MAP.type, link)?.comment

/** What is known of a guarded network from its link on the host. */
export interface Guard {
  readonly modes: Modes
  /** Whether there are links behind which the containers' own addresses are reached. */
  readonly trusts: boolean
}

const LONGEST_NAME = 15 // IFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

/**
 * How the network behind a link of the host is guarded, undefined when it is not.
 * @param link as a result has it, so that it may be no link's name
 */
export const guardOf = (host: Namespace, link: string): Guard | undefined => {
  const comment = link.length > LONGEST_NAME ? undefined : stated(host, link)
  if (comment === undefined) return undefined
  const [, , ...statements] = comment.split(' ')
  const words = Object.fromEntries(statements.map(word => word.split('='))) as Record<string, string>
  return { modes: { ipv4: words['ipv4'], ipv6: words['ipv6'] } as Modes, trusts: words['trusted'] !== undefined }
}

/** What differs from what `add` makes, undefined when nothing does. */
const fault = (host: Namespace, bridge: string, access: Access): string | undefined => {
  const comment = stated(host, bridge)
  if (comment === undefined) return `${bridge} is missing in map ${MAP.name}`
  if (comment !== commentOf(bridge, access)) return `map ${MAP.name} has ${bridge} as "${comment}"`
  // The map's element counts as a use.
  if ((findChain(host.netfilter, fairlead, chainOf(bridge))?.use ?? 0) <= rulesOf(bridge, access).length)
    return `a rule of chain ${chainOf(bridge)} is missing`
  if (!findElement(host.netfilter, fairlead, SET.name, SET.type, bridge))
    return `${bridge} is missing in set ${SET.name}`
  const leads = (base: string, name: string): boolean =>
    rules(host.netfilter, fairlead, base).some(({ expressions }) => looksUp(expressions, name))
  if (!leads(bases.gatewayMode, MAP.name)) return `the rule of chain ${bases.gatewayMode} is missing`
  for (const family of families.filter(each => access.modes[each] === 'isolated')) {
    const { name, type } = isolated[family]
    if (!findElement(host.netfilter, fairlead, name, type, bridge)) return `${bridge} is missing in set ${name}`
    if (!leads(bases.isolated, name)) return `a rule of chain ${bases.isolated} is missing`
  }
  return undefined
}

/** Sets who reaches a bridge; fine when it is so. Before its first container, so that no packet slips through. */
export const add = (host: Namespace, bridge: string, access: Access): void => {
  if (fault(host, bridge, access) === undefined) return
  const remark = { comment: commentOf(bridge, access) }
  revise(host.netfilter, tx => {
    const table = addTable(tx, fairlead)
    const map = table.map(MAP.name, MAP.type).add({ comment: 'bridges that are guarded, and their chains' })
    const bridges = table.set(SET.name, SET.type).add({ comment: 'the same bridges' })
    for (const { name, type } of Object.values(openSets))
      table.set(name, type).add({ comment: 'published ports of containers, by their own addresses' })
    table.chain(bases.gatewayMode).add({ type: 'filter', hook: 'forward', priority: 'filter' }).flush()
      .rule(oifname.vmap(MAP.name))
    const input = table.chain(bases.isolated).add({ type: 'filter', hook: 'input', priority: 'filter' }).flush()
    for (const family of families) {
      const { name, type } = isolated[family]
      const set = table.set(name, type).add({ comment: 'bridges whose containers do not reach the host' })
      input.rule(nfproto[family], iifname.inSet(name), drop)
      if (access.modes[family] === 'isolated') set.insert(bridge)
      else if (findElement(host.netfilter, fairlead, name, type, bridge)) set.remove(bridge)
    }
    const chain = table.chain(chainOf(bridge)).add().flush()
    for (const rule of rulesOf(bridge, access)) chain.rule(...rule)
    map.replace(bridge, goto(chainOf(bridge)), remark)
    bridges.insert(bridge)
  })
}

/** Opens a bridge again; fine when it is not guarded. */
export const remove = (host: Namespace, bridge: string): void => {
  if (stated(host, bridge) === undefined) return
  revise(host.netfilter, tx => {
    if (stated(host, bridge) === undefined) return
    const table = tableOf(tx, fairlead)
    table.map(MAP.name, MAP.type).remove(bridge)
    table.set(SET.name, SET.type).remove(bridge)
    for (const { name, type } of Object.values(isolated)) {
      if (findElement(host.netfilter, fairlead, name, type, bridge)) table.set(name, type).remove(bridge)
    }
    table.chain(chainOf(bridge)).delete()
    giveUpTable(host, tx, [chainOf(bridge)])
  })
}

/** Sees that a bridge is guarded as configured. @throws Error naming what is missing */
export const check = (host: Namespace, bridge: string, access: Access): void => {
  const found = fault(host, bridge, access)
  if (found !== undefined)
    throw new Error(`gatewayMode: in nftables table inet fairlead ${found}; add a container again`)
}
