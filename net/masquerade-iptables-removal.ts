// Takes away the iptables chains of the Go suite, and ours of the same shape: one chain for each container and network,
// and the rules of POSTROUTING that lead there. Those of the nftables kind of iptables are reached through netlink,
// without a child process; the legacy kind only where the kernel says that it has a nat table.
import { readText } from '#sys/file.ts'
import { text } from '#netlink/codec.ts'
import { familyOf, formatIp, parseIp, type Family } from '#netlink/ip.ts'
import type { Expr } from '#netlink/nftables/expr.ts'
import { findChain, revise, rules, type RuleInfo, type TableName } from '#netlink/nftables/query.ts'
import type { Attachment } from './attachment.ts'
import { quoted, readNat, restoreNat } from './iptables.ts'
import { BASE, chainName, networkStart } from './masquerade-iptables.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix, subnetOf } from './prefix.ts'
import { fullName, tableOf } from './table.ts'

const families = ['ipv4', 'ipv6'] as const

/** Where iptables-nft keeps table nat. */
const tables: Record<Family, TableName> = {
  ipv4: { family: 'ip', table: 'nat' }, ipv6: { family: 'ip6', table: 'nat' },
}

/** Where the kernel lists the tables of the legacy kind in the namespace of the thread. */
const legacyTables = {
  ipv4: '/proc/thread-self/net/ip_tables_names', ipv6: '/proc/thread-self/net/ip6_tables_names',
} as const

/**
 * Whether a rule's comparisons of the source address hold for `address`; iptables makes `-s` the only one of its jumps.
 */
const matchesSource = (expressions: readonly Expr[], address: Uint8Array): boolean => {
  let register = new Uint8Array()
  return expressions.every(part => {
    if (part.kind === 'payload') register = address.slice(0, part.length)
    if (part.kind === 'bitwise') register = register.map((byte, i) => byte & part.mask![i]!)
    return part.kind !== 'cmp' || part.data!.every((byte, i) => byte === register[i])
  })
}

const chainOf = ({ expressions }: RuleInfo): string | undefined => {
  const last = expressions.find(part => part.kind === 'immediate')
  return last?.kind === 'immediate' ? last.data?.verdict?.chain : undefined
}

const commentOf = ({ expressions, comment }: RuleInfo): string => {
  const match = expressions.find(part => part.kind === 'match' && part.name === 'comment')
  return match?.kind === 'match' && match.info ? text.decode(match.info) : comment
}

/**
 * What to take away: the chain, and the jumps for these addresses or all of them. The chain goes with the last jump.
 */
interface Target { readonly chain: string; readonly addresses: readonly string[] | undefined }

const removeChain = (
  host: Namespace, family: Family, { chain, addresses }: Target,
): void => revise(host.netfilter, tx => {
  const table = tables[family]
  if (findChain(host.netfilter, table, chain) === undefined) return
  const jumps = rules(host.netfilter, table, BASE).filter(rule => chainOf(rule) === chain)
  const sources = addresses?.filter(address => familyOf(address) === family)
    .map(address => parseIp(address.split('/')[0]!)).filter(bytes => bytes !== undefined)
  const known = jumps.filter(({ expressions }) => sources?.some(address => matchesSource(expressions, address)))
  // Whoever names other addresses than the chain's has a wrong result in hands; the chain is the attachment's all the
  // same.
  const leaving = known.length > 0 ? known : jumps
  for (const { handle } of leaving) tableOf(tx, table).chain(BASE).deleteRule(handle)
  if (leaving.length === jumps.length) tableOf(tx, table).chain(chain).delete()
})

/** The chains that the rules of a network's attachments lead to, but for those of `valid`. */
const staleChains = (
  rules: readonly { readonly chain: string | undefined; readonly ours: boolean }[], valid: readonly Attachment[],
): string[] => {
  const kept = new Set(valid.map(chainName))
  const stale = rules.flatMap(({ chain, ours }) => ours && chain?.startsWith('CNI-') && !kept.has(chain) ? [chain] : [])
  return [...new Set(stale)]
}

/** Removes an attachment's chain from the tables of iptables-nft, as far as these are `present`. */
export const remove = (
  host: Namespace, present: ReadonlySet<string>, attachment: Attachment, addresses?: readonly string[],
): void => {
  for (const family of families)
    if (present.has(fullName(tables[family]))) removeChain(host, family, { chain: chainName(attachment), addresses })
}

/** The same for every attachment of a network that is not among `valid`. */
export const collect = (
  host: Namespace, present: ReadonlySet<string>, network: string, valid: readonly Attachment[],
): void => {
  for (const family of families) {
    if (!present.has(fullName(tables[family]))) continue
    const start = networkStart(network)
    const jumps = rules(host.netfilter, tables[family], BASE)
      .map(rule => ({ chain: chainOf(rule), ours: commentOf(rule).startsWith(start) }))
    for (const chain of staleChains(jumps, valid)) removeChain(host, family, { chain, addresses: undefined })
  }
}

/** Whether the kernel has a nat table of the legacy kind. */
const hasLegacy = (host: Namespace, family: Family): boolean =>
  host.run(() => readText(legacyTables[family]))?.split('\n').includes('nat') ?? false

/** Whether there may be iptables rules of an attachment: cheaply told, without a child process. */
export const areThere = (host: Namespace, present: ReadonlySet<string>, attachment: Attachment): boolean =>
  families.some(family => hasLegacy(host, family) ||
    present.has(fullName(tables[family])) && findChain(host.netfilter, tables[family], chainName(attachment)))

const eachLegacyTable = (
  host: Namespace, act: (family: Family, jumps: readonly string[], lines: readonly string[]) => void,
): void => {
  for (const family of families) {
    const lines = hasLegacy(host, family) ? readNat(host, family, 'legacy') : []
    act(family, lines.filter(line => line.startsWith(`-A ${BASE} `)), lines)
  }
}

const chainOfLine = (line: string): string | undefined => / -j (\S+)$/.exec(line)?.[1]

/**
 * Whether a line has this source: an address, or before version 0.8 of the Go suite the prefix that it was given with.
 */
const hasSource = (line: string, address: string): boolean => {
  const prefix = parsePrefix(address)
  if (prefix === undefined) return false
  const sources = [`${formatIp(prefix.bytes)}/${8 * prefix.bytes.length}`, subnetOf(prefix)]
  return sources.some(source => line.includes(` -s ${source} `))
}

const removeLegacyChain = (
  host: Namespace, family: Family, jumps: readonly string[], { chain, addresses }: Target,
): void => {
  const own = jumps.filter(line => chainOfLine(line) === chain)
  const known = own.filter(line => addresses?.some(address => hasSource(line, address)))
  const leaving = known.length > 0 ? known : own
  restoreNat(host, family, [
    ...leaving.map(line => line.replace('-A', '-D')),
    ...leaving.length === own.length ? [`-F ${chain}`, `-X ${chain}`] : [],
  ], 'legacy')
}

/** Removes an attachment's chain from the tables of iptables-legacy. Starts nothing on a host without any. */
export const removeLegacy = (host: Namespace, attachment: Attachment, addresses?: readonly string[]): void =>
  eachLegacyTable(host, (family, jumps, lines) => {
    const chain = chainName(attachment)
    if (lines.some(line => line.startsWith(`:${chain} `))) removeLegacyChain(host, family, jumps, { chain, addresses })
  })

/** The same for every attachment of a network that is not among `valid`. */
export const collectLegacy = (host: Namespace, network: string, valid: readonly Attachment[]): void =>
  eachLegacyTable(host, (family, jumps) => {
    const start = `--comment ${quoted(networkStart(network)).slice(0, -1)}`
    const found = jumps.map(line => ({ chain: chainOfLine(line), ours: line.includes(start) }))
    for (const chain of staleChains(found, valid))
      removeLegacyChain(host, family, jumps, { chain, addresses: undefined })
  })
