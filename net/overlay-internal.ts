// Internal overlays: what their containers send is for the network itself or for the host, and nothing else is routed
// to them (Docker's `--internal`). Two rules per subnet, however many containers there are.
import { ip, ip6 } from '#netlink/nftables/match.ts'
import { findChain, revise, rules } from '#netlink/nftables/query.ts'
import { counter, drop } from '#netlink/nftables/statement.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'
import { TABLE } from './overlay-guard.ts'

const CHAIN = 'internal'

const remark = (subnet: string, direction: 'from' | 'to'): string => `internal ${direction} ${subnet}`

/** @param subnets those of the network of the same family: they may talk to each other */
const rulesFor = (subnet: string, subnets: readonly string[]) => {
  const { saddr, daddr } = familyOf(subnet) === 'ipv4' ? ip : ip6
  return [
    [saddr.in(subnet), ...subnets.map(other => daddr.notIn(other)), counter, drop,
      { comment: remark(subnet, 'from') }],
    [daddr.in(subnet), ...subnets.map(other => saddr.notIn(other)), counter, drop, { comment: remark(subnet, 'to') }],
  ] as const
}

/**
 * Keeps the rules of all internal networks of the host; what is in place is not touched.
 * @param networks the subnets of each
 * @throws NetlinkError EOPNOTSUPP when the kernel has no nftables
 */
export const ensureInternal = (host: Namespace, networks: readonly (readonly string[])[]): void => {
  const wanted = networks.flat().flatMap(subnet => [remark(subnet, 'from'), remark(subnet, 'to')])
  const now = (): string[] => rules(host.netfilter, TABLE, CHAIN).map(({ comment }) => comment)
  const stands = findChain(host.netfilter, TABLE, CHAIN) !== undefined
  if (stands ? `${now()}` === `${wanted}` : wanted.length === 0) return
  revise(host.netfilter, tx => {
    const chain = tx.table(TABLE.family, TABLE.table).add({ comment: 'Fairlead overlay networks' }).chain(CHAIN)
      .add({ type: 'filter', hook: 'forward', priority: 'filter' }).flush()
    for (const subnets of networks) {
      for (const subnet of subnets) {
        const others = subnets.filter(other => familyOf(other) === familyOf(subnet))
        for (const rule of rulesFor(subnet, others)) chain.rule(...rule)
      }
    }
  })
}
