// Who may send into the overlays of this host. VXLAN trusts whatever arrives on its port, so packets from any address
// but the tunnel ends of known hosts are dropped before it sees them. A packet to the port costs two lookups, any other
// one comparison, however many hosts there are. In a table of its own: nothing here belongs to a container.
import { tolerate } from '#sys/errno.ts'
import { ip, ip6, l4proto, oifname, th } from '#netlink/nftables/match.ts'
import { elements, findChain, looksUp, revise, rules, type TableName } from '#netlink/nftables/query.ts'
import { clampSegmentSize } from '#netlink/nftables/segment-size.ts'
import { counter, drop } from '#netlink/nftables/statement.ts'
import { commit, type Table, type Transaction } from '#netlink/nftables/transaction.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'

export const TABLE: TableName = { family: 'inet', table: 'fairlead_overlay' }

const sets = {
  ports: { name: 'ports', type: 'inet_service', comment: 'UDP ports of overlays' },
  ipv4: { name: 'vteps4', type: 'ipv4_addr', comment: 'tunnel ends of the other hosts' },
  ipv6: { name: 'vteps6', type: 'ipv6_addr', comment: 'tunnel ends of the other hosts' },
  tunnels: { name: 'tunnels', type: 'ifname', comment: 'links that lead into overlays' },
} as const
type SetName = keyof typeof sets

const INPUT = 'input'
const FORWARD = 'forward'
/** How many rules each chain has. */
const chains = new Map([[INPUT, 2], [FORWARD, 1]])

/** All that the host's overlays need, whichever network needs it. */
export interface Guard {
  /** UDP ports of the overlays. */
  readonly ports: readonly number[]
  /** Tunnel ends of all known hosts, of either family and in canonical text. */
  readonly vteps: readonly string[]
  /** Hosts may be missing among them: those that are let in already stay so. */
  readonly isPartial?: boolean
  /** Names of VXLAN and WireGuard links. TCP that is routed to them fits them (MSS clamping), whatever was learnt. */
  readonly tunnels: readonly string[]
}

const wantedIn = ({ ports, vteps, tunnels }: Guard): Readonly<Record<SetName, ReadonlySet<string>>> => ({
  ports: new Set(ports.map(port => `${port}`)),
  ipv4: new Set(vteps.filter(vtep => familyOf(vtep) === 'ipv4')),
  ipv6: new Set(vteps.filter(vtep => familyOf(vtep) === 'ipv6')),
  tunnels: new Set(tunnels),
})

/** Whether the rules are in place, whatever the sets hold. */
export const isGuarded = (host: Namespace): boolean => isWhole(host)

const isWhole = (host: Namespace): boolean =>
  [...chains].every(([chain, count]) => (findChain(host.netfilter, TABLE, chain)?.use ?? 0) === count) &&
  rules(host.netfilter, TABLE, INPUT).every(({ expressions }) => looksUp(expressions, sets.ports.name))

const addFrame = (table: Table): void => {
  table.add({ comment: 'Fairlead overlay networks' })
  for (const { name, type, comment } of Object.values(sets)) table.set(name, type).add({ comment })
  const isTunnelled = [l4proto.is('udp'), th.dport.inSet(sets.ports.name)]
  table.chain(INPUT).add({ type: 'filter', hook: 'input', priority: 'filter' }).flush()
    .rule(...isTunnelled, ip.saddr.notInSet(sets.ipv4.name), counter, drop)
    .rule(...isTunnelled, ip6.saddr.notInSet(sets.ipv6.name), counter, drop)
  table.chain(FORWARD).add({ type: 'filter', hook: 'forward', priority: 'mangle' }).flush()
    .rule(oifname.inSet(sets.tunnels.name), clampSegmentSize)
}

/**
 * Keeps the rules and sets as they are to be, in one step; what is in place is not touched, so its counters stay.
 * @throws NetlinkError EOPNOTSUPP when the kernel has no nftables
 */
export const ensureGuard = (host: Namespace, guard: Guard): void => {
  const wanted = wantedIn(guard)
  revise(host.netfilter, (tx: Transaction) => {
    const table = tx.table(TABLE.family, TABLE.table)
    if (!isWhole(host)) addFrame(table)
    for (const key of Object.keys(sets) as SetName[]) {
      const { name, type } = sets[key]
      const set = table.set(name, type)
      const present = new Set(elements(host.netfilter, TABLE, name, type).map(element => element.key))
      set.insertAll([...wanted[key]].filter(element => !present.has(element)))
      if (guard.isPartial && (key === 'ipv4' || key === 'ipv6')) continue
      for (const element of present) if (!wanted[key].has(element)) set.remove(element)
    }
  })
}

/**
 * Lets other tunnel ends in than before, at a cost that does not grow with their number. `ensureGuard` must have been
 * there; when somebody has changed the rules meanwhile, it is due.
 * @throws NetlinkError
 */
export const changeGuard = (host: Namespace, leaving: readonly string[], coming: readonly string[]): void => {
  if (leaving.length + coming.length === 0) return
  commit(host.netfilter, tx => {
    const table = tx.table(TABLE.family, TABLE.table)
    const set = (vtep: string) => {
      const { name, type } = sets[familyOf(vtep)]
      return table.set(name, type)
    }
    for (const vtep of coming) set(vtep).insert(vtep)
    // Inserted before: what is removed has to be there.
    for (const vtep of leaving) set(vtep).insert(vtep).remove(vtep)
  })
}

/** Removes all of it; fine when there is nothing. */
export const removeGuard = (host: Namespace): void => {
  tolerate(['ENOENT'], () => commit(host.netfilter, tx => tx.table(TABLE.family, TABLE.table).delete()))
}
