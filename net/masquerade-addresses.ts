// The addresses of an attachment as the Go suite's masquerading knows them. Its firewall does not say whose rules it
// has, but where `ipMasq` is on, the same container is named beside its address.
import { formatIp } from '#netlink/ip.ts'
import { findChain, rules, type RuleInfo } from '#netlink/nftables/query.ts'
import type { Attachment } from './attachment.ts'
import { chainName } from './iptables-chain.ts'
import { chainOf, placesAmong, tableName } from './iptables-tables.ts'
import { BASE } from './masquerade-iptables.ts'
import { attachmentStart, CHAIN, table } from './masquerade-reference.ts'
import type { Namespace } from './namespace.ts'
import { fullName } from './table.ts'

/** The first whole address that a rule compares: it is the source's. */
const sourceOf = ({ expressions }: RuleInfo): string[] => {
  const first = expressions.find(part => part.kind === 'cmp' && [4, 16].includes(part.data?.length ?? 0))
  return first?.kind === 'cmp' && first.data ? [formatIp(first.data)] : []
}

/** @param present the names of all tables of the host */
export const masqueradedAddresses = (
  host: Namespace, present: ReadonlySet<string>, attachment: Attachment,
): string[] => {
  const start = attachmentStart(attachment)
  const native = present.has(fullName(table))
    ? rules(host.netfilter, table, CHAIN).filter(({ comment }) => comment.startsWith(start)) : []
  const chained = placesAmong(present, 'nat').flatMap(place => {
    const chain = chainName(attachment)
    if (findChain(host.netfilter, tableName(place), chain) === undefined) return []
    const jumps = rules(host.netfilter, tableName(place), BASE).filter(rule => chainOf(rule) === chain)
    // Two interfaces of a container in one network share the chain, and nothing tells whose an address is.
    return jumps.length === 1 ? jumps : []
  })
  return [...native, ...chained].flatMap(sourceOf)
}
