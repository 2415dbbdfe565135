// Takes away chains of iptables that belong to one attachment: table nat has a branch for each, a rule or several of a
// shared chain that lead to a chain of its own. The nftables kind is reached through netlink, without a child process;
// the legacy kind by the programs.
import { findChain, revise, rules, type RuleInfo } from '#netlink/nftables/query.ts'
import { change, type Place } from './iptables.ts'
import { deletion, rulesOfChain, undeclared } from './iptables-rule.ts'
import { chainOf, commentOf, tableName } from './iptables-tables.ts'
import type { Namespace } from './namespace.ts'
import { tableOf } from './table.ts'

/** A chain, and the one whose rules lead there. */
export interface Branch { readonly entry: string; readonly chain: string }

/** Says which of a branch's jumps leave: all of them unless stated. The chain leaves with the last. */
type Pick<T> = (jumps: readonly T[]) => readonly T[]
const all = <T>(jumps: readonly T[]): readonly T[] => jumps

/** Removes a branch from a table of iptables-nft; fine when it is not there. */
export const removeBranch = (
  host: Namespace, place: Place, { entry, chain }: Branch, pick: Pick<RuleInfo> = all,
): void => revise(host.netfilter, tx => {
  const table = tableName(place)
  if (findChain(host.netfilter, table, chain) === undefined) return
  const jumps = rules(host.netfilter, table, entry).filter(rule => chainOf(rule) === chain)
  const leaving = pick(jumps)
  for (const { handle } of leaving) tableOf(tx, table).chain(entry).deleteRule(handle)
  if (leaving.length === jumps.length) tableOf(tx, table).chain(chain).delete()
})

/** A rule of a shared chain: where it leads, and whether its comment begins as a network's does. */
export interface Jump { readonly chain: string | undefined; readonly ours: boolean }

/** The rules of a shared chain of iptables-nft. @param start what the comments of the network begin with */
export const jumpsOf = (host: Namespace, place: Place, entry: string, start: string): Jump[] =>
  rules(host.netfilter, tableName(place), entry)
    .map(rule => ({ chain: chainOf(rule), ours: commentOf(rule).startsWith(start) }))

/** The chains that the rules of a network's attachments lead to, but for those `kept`. */
export const staleChains = (jumps: readonly Jump[], kept: ReadonlySet<string>): string[] => [...new Set(
  jumps.flatMap(({ chain, ours }) => ours && chain?.startsWith('CNI-') && !kept.has(chain) ? [chain] : []))]

/** Where a line of iptables-save leads. */
export const chainOfLine = (line: string): string | undefined => / -j (\S+)$/.exec(line)?.[1]

/** Removes a branch from a table of iptables-legacy. @param lines of iptables-save */
export const removeLegacyBranch = (
  host: Namespace, place: Place, lines: readonly string[], { entry, chain }: Branch, pick: Pick<string> = all,
): void => {
  if (undeclared([chain], lines).length > 0) return
  const jumps = rulesOfChain(lines, entry).filter(line => chainOfLine(line) === chain)
  const leaving = pick(jumps)
  const isLast = leaving.length === jumps.length
  change(host, place, [...leaving.map(deletion), ...isLast ? [`-F ${chain}`, `-X ${chain}`] : []], 'legacy')
}
