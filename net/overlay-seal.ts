// What belongs to encrypted overlays travels by their device and in no other way, whatever becomes of the routes:
// nothing leaves in clear while they are missing, and nobody on the underlay can pass for a container. A few rules per
// subnet, however many containers there are.
import type { Expr } from '#netlink/nftables/expr.ts'
import { iifname, ip, ip6, isFromWrongLink, oifname } from '#netlink/nftables/match.ts'
import { findChain, revise, rules } from '#netlink/nftables/query.ts'
import { counter, drop } from '#netlink/nftables/statement.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'
import { TABLE } from './overlay-guard.ts'

const IN = 'sealed_in'
const OUT = 'sealed_out'

/** How the host's ends of containers' links begin: `hostLinkName` of attachment.ts. */
const CONTAINERS = 'veth'

/** What is sealed. */
export interface Seal {
  /** The device that the networks have instead. */
  readonly device: string
  /** Name of the underlay's link. */
  readonly underlay: string
  readonly subnets: readonly string[]
}

const remark = (subnet: string, by: string): string => `sealed ${subnet} ${by}`

/** A link that is neither the device nor a container's. */
const isStrange = (name: typeof iifname, device: string): readonly Expr[] =>
  [...name.isNot(device), ...name.isNot('lo'), ...name.beginsNot(CONTAINERS)]

/** Of each chain the comments and matches for one subnet. */
const rulesFor = ({ device, underlay }: Omit<Seal, 'subnets'>, subnet: string) => {
  const { saddr, daddr } = familyOf(subnet) === 'ipv4' ? ip : ip6
  // It may be called as containers' links are, in a lab or on a nested host.
  const lookalike = (address: typeof saddr, name: typeof iifname) => underlay.startsWith(CONTAINERS)
    ? [{ comment: remark(subnet, underlay), parts: [address.in(subnet), name.is(underlay)] }]
    : []
  return {
    [IN]: [
      { comment: remark(subnet, device), parts: [saddr.in(subnet), isStrange(iifname, device)] },
      ...lookalike(saddr, iifname),
      // Nor can a container of this host pass for another one.
      { comment: remark(subnet, 'routes'), parts: [saddr.in(subnet), isFromWrongLink] },
    ],
    [OUT]: [
      { comment: remark(subnet, device), parts: [daddr.in(subnet), isStrange(oifname, device)] },
      ...lookalike(daddr, oifname),
    ],
  }
}

/**
 * Keeps the rules for all encrypted networks of the host; what is in place is not touched.
 * @throws NetlinkError EOPNOTSUPP when the kernel has no nftables
 */
export const ensureSeal = (host: Namespace, { subnets, ...by }: Seal): void => {
  const wanted = subnets.map(subnet => rulesFor(by, subnet))
  const stands = ([IN, OUT] as const).every(chain => findChain(host.netfilter, TABLE, chain) !== undefined)
  const isAsWanted = (chain: typeof IN | typeof OUT): boolean =>
    `${rules(host.netfilter, TABLE, chain).map(({ comment }) => comment)}` ===
    `${wanted.flatMap(made => made[chain]).map(({ comment }) => comment)}`
  if (stands ? isAsWanted(IN) && isAsWanted(OUT) : wanted.length === 0) return
  revise(host.netfilter, tx => {
    const table = tx.table(TABLE.family, TABLE.table).add({ comment: 'Fairlead overlay networks' })
    const chains = {
      [IN]: table.chain(IN).add({ type: 'filter', hook: 'prerouting', priority: 'raw' }).flush(),
      [OUT]: table.chain(OUT).add({ type: 'filter', hook: 'postrouting', priority: 'mangle' }).flush(),
    }
    for (const made of wanted)
      for (const chain of [IN, OUT] as const)
        for (const { comment, parts } of made[chain]) chains[chain].rule(...parts, counter, drop, { comment })
  })
}
