// Takes away the iptables chains of the Go suite, and ours of the same shape: one chain for each container and network,
// and the rules of POSTROUTING that lead there.
import { familyOf, formatIp, parseIp } from '#netlink/ip.ts'
import type { Expr } from '#netlink/nftables/expr.ts'
import { findChain } from '#netlink/nftables/query.ts'
import type { Attachment } from './attachment.ts'
import type { Place } from './iptables.ts'
import { chainName, networkStart } from './iptables-chain.ts'
import { chainOfLine, jumpsOf, removeBranch, removeLegacyBranch, staleChains } from './iptables-removal.ts'
import { quoted, rulesOfChain } from './iptables-rule.ts'
import { eachLegacy, hasLegacy, places, placesAmong, tableName } from './iptables-tables.ts'
import { BASE } from './masquerade-iptables.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix, subnetOf } from './prefix.ts'

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

/**
 * The jumps that are for some of the addresses. Whoever names other addresses than the chain's has a wrong result in
 * hands; the chain is the attachment's all the same.
 */
const pick = <T>(jumps: readonly T[], isFor: (jump: T) => boolean): readonly T[] => {
  const known = jumps.filter(isFor)
  return known.length > 0 ? known : jumps
}

/** Removes an attachment's chain from the tables of iptables-nft, as far as these are `present`. */
export const remove = (
  host: Namespace, present: ReadonlySet<string>, attachment: Attachment, addresses: readonly string[] = [],
): void => {
  for (const place of placesAmong(present, 'nat')) {
    const sources = addresses.filter(address => familyOf(address) === place.family)
      .map(address => parseIp(address.split('/')[0]!)).filter(bytes => bytes !== undefined)
    removeBranch(host, place, { entry: BASE, chain: chainName(attachment) }, jumps =>
      pick(jumps, ({ expressions }) => sources.some(address => matchesSource(expressions, address))))
  }
}

const kept = (valid: readonly Attachment[]): ReadonlySet<string> =>
  new Set(valid.map(attachment => chainName(attachment)))

/** The same for every attachment of a network that is not among `valid`. */
export const collect = (
  host: Namespace, present: ReadonlySet<string>, network: string, valid: readonly Attachment[],
): void => {
  for (const place of placesAmong(present, 'nat'))
    for (const chain of staleChains(jumpsOf(host, place, BASE, networkStart(network)), kept(valid)))
      removeBranch(host, place, { entry: BASE, chain })
}

/** Whether there may be iptables rules of an attachment: cheaply told, without a child process. */
export const areThere = (host: Namespace, present: ReadonlySet<string>, attachment: Attachment): boolean => {
  const isBranched = (place: Place): boolean =>
    findChain(host.netfilter, tableName(place), chainName(attachment)) !== undefined
  return places('nat').some(place => hasLegacy(host, place)) || placesAmong(present, 'nat').some(isBranched)
}

/**
 * Whether a line has this source: an address, or before version 0.8 of the Go suite the prefix that it was given with.
 */
const hasSource = (line: string, address: string): boolean => {
  const prefix = parsePrefix(address)
  if (prefix === undefined) return false
  const sources = [`${formatIp(prefix.bytes)}/${8 * prefix.bytes.length}`, subnetOf(prefix)]
  return sources.some(source => line.includes(` -s ${source} `))
}

/** Removes an attachment's chain from the tables of iptables-legacy. Starts nothing on a host without any. */
export const removeLegacy = (host: Namespace, attachment: Attachment, addresses: readonly string[] = []): void =>
  eachLegacy(host, 'nat', (place, lines) =>
    removeLegacyBranch(host, place, lines, { entry: BASE, chain: chainName(attachment) }, jumps =>
      pick(jumps, line => addresses.some(address => hasSource(line, address)))))

/** The same for every attachment of a network that is not among `valid`. */
export const collectLegacy = (host: Namespace, network: string, valid: readonly Attachment[]): void =>
  eachLegacy(host, 'nat', (place, lines) => {
    const start = `--comment ${quoted(networkStart(network)).slice(0, -1)}`
    const jumps = rulesOfChain(lines, BASE).map(line => ({ chain: chainOfLine(line), ours: line.includes(start) }))
    for (const chain of staleChains(jumps, kept(valid))) removeLegacyBranch(host, place, lines, { entry: BASE, chain })
  })
