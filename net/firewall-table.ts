// The firewall's table: what it consists of, written so that it does not matter what of it is there already. The accept
// of one base chain saves no packet from the drop of another, so what is let through is marked, for a rule in the
// FORWARD chain of iptables to see (net/forward-chain.ts); what is turned away is dropped here.
import type { Family } from '#netlink/ip.ts'
import { concat, ct, iifkind, iifname, ip, ip6, isFromItsLink, oifkind, oifname } from '#netlink/nftables/match.ts'
import { findChain, type ChainInfo, type TableName } from '#netlink/nftables/query.ts'
import { clearMark, drop, goto, jump, returns, setMark } from '#netlink/nftables/statement.ts'
import type { Hook, RulePart, Table, Transaction } from '#netlink/nftables/transaction.ts'
import { sha256 } from '#sys/digest.ts'
import type { IngressPolicy } from './admission.ts'
import type { Namespace } from './namespace.ts'
import { addTable } from './table.ts'

export const table: TableName = { family: 'inet', table: 'fairlead_firewall' }

/**
 * The bit of the packet mark that says so. Kubernetes has 0x4000 and 0x8000, portmap 0x2000, Calico, Weave Net and
 * Tailscale bits from 0x10000 on, Cilium what is left, where it needs 0x0f00 first; administrators count from 1. Whose
 * it is else hardly matters: it is cleared again within the same hook. https://github.com/fwmark/registry
 */
export const MARK = 0x1000

/**
 * Containers' addresses whose packets are marked. Not maps to verdicts: with each change the kernel would go through
 * all elements of those that a rule looks into (nft_table_validate of net/netfilter/nf_tables_api.c).
 */
export const marked = {
  ipv4: { name: 'addresses4', type: 'ipv4_addr', leads: false },
  ipv6: { name: 'addresses6', type: 'ipv6_addr', leads: false },
} as const satisfies Record<Family, object>
/** Those that are in a zone of firewalld's, and the chain that counts them. Packets never ask. */
export const zoned = {
  ipv4: { name: 'zoned4', type: 'ipv4_addr', leads: true }, ipv6: { name: 'zoned6', type: 'ipv6_addr', leads: true },
} as const satisfies Record<Family, object>
/** Attachments, and the chain that counts those of a policy and device. Packets never ask. */
export const members = { name: 'members', type: 'ifname', leads: true } as const
/** Every attachment has elements in some of these. */
export const places = [...Object.values(marked), ...Object.values(zoned), members] as const
export type Place = typeof places[number]

/** Devices with a policy: nothing goes from one to another. */
export const confined = { name: 'confined', type: 'ifname' } as const
/** Those of them whose containers reach each other through the host, twice each. */
export const within = { name: 'within', type: 'ifname . ifname' } as const

const ADMITTED = 'admitted'

/** The chains that attachments share; those that lead to another, which counts its `leads`, come behind it. */
const chains: readonly {
  readonly name: string
  readonly hook?: Hook
  readonly rules: readonly (readonly RulePart[])[]
  readonly leads?: number
}[] = [
  { name: ADMITTED, leads: 4, rules: [[setMark(MARK)]] },
  {
    name: 'inbound', leads: 2,
    rules: [
      [ip.daddr.inSet(marked.ipv4.name), goto(ADMITTED)],
      [ip6.daddr.inSet(marked.ipv6.name), goto(ADMITTED)],
    ],
  },
  {
    name: 'outbound', leads: 2,
    // An address proves nothing by itself: a neighbour on any link may write it into its packets. What a bridge passes
    // on between its ports, with br_netfilter looking, may have no route back.
    rules: [[isFromItsLink, goto(ADMITTED)], [iifkind.is('bridge'), oifkind.is('bridge'), goto(ADMITTED)]],
  },
  {
    name: 'between', leads: 1,
    rules: [[concat(iifname, oifname).inSet(within.name), returns], [oifname.inSet(confined.name), drop]],
  },
  {
    name: 'forward', hook: { type: 'filter', hook: 'forward', priority: -10 },
    rules: [
      [iifname.inSet(confined.name), jump('between')],
      [ip.saddr.inSet(marked.ipv4.name), goto('outbound')],
      [ip6.saddr.inSet(marked.ipv6.name), goto('outbound')],
      [ct.state('established', 'related'), goto('inbound')],
      // A published port: whoever has translated the address has let the connection in.
      [ct.isTranslated, goto('inbound')],
    ],
  },
  // Behind everybody else's chains of the hook: the mark is nobody else's business.
  { name: 'forwarded', hook: { type: 'filter', hook: 'forward', priority: 200 }, rules: [[clearMark(MARK)]] },
]

/** A chain of the shared part that has lost rules, undefined when all is there. */
export const findDamage = (host: Namespace): string | undefined =>
  chains.findLast(({ name, rules, leads = 0 }) =>
    (findChain(host.netfilter, table, name)?.use ?? 0) < rules.length + leads)?.name

/** Makes sure of the shared part. */
export const addShared = (tx: Transaction): Table => {
  const shared = addTable(tx, table)
  for (const { name, type } of Object.values(marked))
    shared.set(name, type).add({ comment: 'containers whose packets are marked' })
  for (const { name, type } of Object.values(zoned))
    shared.map(name, type).add({ comment: 'sources of a zone of firewalld, and who counts them' })
  shared.map(members.name, members.type).add({ comment: 'attachments, and who counts them' })
  shared.set(confined.name, confined.type).add({ comment: 'devices with an ingressPolicy' })
  shared.set(within.name, within.type).add({ comment: 'those whose containers reach each other' })
  for (const { name, hook, rules } of chains) {
    const chain = shared.chain(name).add(hook ?? {}).flush()
    for (const rule of rules) chain.rule(...rule)
  }
  return shared
}

/** A chain without rules whose use count says how many there are of something. */
export interface Tally { readonly name: string; readonly comment: string }

/** Names of links and zones may hold what nft takes in no name of its own. */
const tally = (kind: string, subject: string): Tally => ({
  name: `${kind}_${/^[\w.-]+$/.test(subject) ? subject : sha256(subject).slice(0, 16)}`,
  comment: `${kind} ${encodeURIComponent(subject)}`,
})

/** Attachments with a policy on a device. */
export const policyTally = (policy: 'same-bridge' | 'isolated', bridge: string): Tally => tally(policy, bridge)

/** Attachments without a policy. */
export const openTally: Tally = tally('open', 'attachments')

/** Addresses in a zone of firewalld's. */
export const zoneTally = (zone: string): Tally => tally('zone', zone)

type Kind = 'zone' | IngressPolicy

/** What a chain counts, undefined when it is no tally. */
export const tallied = (
  { comment }: Pick<ChainInfo, 'comment'>,
): { readonly kind: Kind; readonly subject: string } | undefined => {
  const [, kind, subject = ''] = /^(zone|open|same-bridge|isolated) (.+)$/.exec(comment) ?? []
  return kind === undefined ? undefined : { kind: kind as Kind, subject: decodeURIComponent(subject) }
}
