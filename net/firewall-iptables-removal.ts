// Takes away what admitted an attachment in iptables, in either kind of it and whoever wrote it. The shared chains
// stay, as with the Go suite: administrators have rules in theirs, and a plugin of the suite that runs at the same time
// makes sure of a chain and then relies on it.
import { familyOf, parseIp } from '#netlink/ip.ts'
import type { Expr } from '#netlink/nftables/expr.ts'
import { revise, rules, type RuleInfo } from '#netlink/nftables/query.ts'
import { addressesOf, isThere, ownerOf, strike } from './admitted.ts'
import { comment, hostLinkName, networkComment, type Attachment } from './attachment.ts'
import { FORWARD, ownRules } from './firewall-iptables.ts'
import { removeIsolation, removeLegacyIsolation } from './firewall-isolation-removal.ts'
import { change, type Place } from './iptables.ts'
import { deletion, textOf } from './iptables-rule.ts'
import { eachLegacy, placesAmong, tableName } from './iptables-tables.ts'
import { masqueradedAddresses } from './masquerade-addresses.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix } from './prefix.ts'
import { runAll } from './steps.ts'
import { tableOf } from './table.ts'

const CMP_EQ = 0 // enum nft_cmp_ops

/** `-m conntrack`, as iptables writes it or nft would. */
const isState = (part: Expr): boolean =>
  part.kind === 'match' ? part.name === 'conntrack' : ['ct', 'bitwise', 'cmp'].includes(part.kind)

/** Whether a rule is one of the two that admit an address: it compares nothing else but the connection's state. */
const admits = ({ expressions }: RuleInfo, address: Uint8Array): boolean => {
  const [field, test, ...rest] = expressions.filter(({ kind }) => kind !== 'counter')
  const verdict = rest.pop()
  return field?.kind === 'payload' && test?.kind === 'cmp' && test.operator === CMP_EQ &&
    Buffer.compare(test.data ?? new Uint8Array(), address) === 0 && rest.every(isState) &&
    verdict?.kind === 'immediate' && verdict.data?.verdict?.code === 'accept'
}

const plain = (addresses: readonly string[]): string[] => addresses.map(address => address.split('/')[0]!)

const removeRules = (host: Namespace, place: Place, addresses: readonly string[]): void => {
  const own = plain(addresses).filter(address => familyOf(address) === place.family)
    .map(parseIp).filter(bytes => bytes !== undefined)
  if (own.length === 0) return
  revise(host.netfilter, tx => {
    const table = tableName(place)
    for (const rule of rules(host.netfilter, table, FORWARD))
      if (own.some(address => admits(rule, address))) tableOf(tx, table).chain(FORWARD).deleteRule(rule.handle)
  })
}

const removeLegacyRules = (
  host: Namespace, place: Place, lines: readonly string[], addresses: readonly string[],
): void => {
  const own = plain(addresses).flatMap(address => parsePrefix(`${address}/0`) ?? [])
    .flatMap(ownRules).map(rule => `-A ${textOf(rule)}`)
  change(host, place, lines.filter(line => own.includes(line)).map(deletion), 'legacy')
}

/** What is to go. */
interface Leaving {
  readonly addresses: readonly string[]
  /** Whose addresses are struck out, by their comments. */
  readonly isMeant: (comment: string) => boolean
  /** Names of links on the host that do not count as somebody's. */
  readonly links: ReadonlySet<string>
}

const clear = (
  host: Namespace, present: ReadonlySet<string>, { addresses, isMeant, links }: Leaving, legacy = true,
): void => runAll([
  ...placesAmong(present, 'filter').map(place => () => removeRules(host, place, addresses)),
  () => removeIsolation(host, present, links),
  () => {
    if (legacy) eachLegacy(host, 'filter', (place, lines) => {
      removeLegacyRules(host, place, lines, addresses)
      removeLegacyIsolation(host, place, lines, links)
    })
  },
  // Last, because it says what there is to remove.
  () => { if (isThere(present)) strike(host, addresses, isMeant) },
])

/** What is known of an attachment that leaves. */
interface Hints {
  /** With or without prefix length; what is entered for the attachment is found without. */
  readonly addresses?: readonly string[] | undefined
  /** Names of its links on the host. */
  readonly links?: readonly string[]
  /** Whether to look into the tables of iptables-legacy, which takes a child process for each that there is. */
  readonly legacy?: boolean
}

/**
 * Removes what admits an attachment, but for addresses that belong to a later one; then what kept its bridge apart, if
 * nobody else is on it. What the Go suite wrote can be found by its addresses only: those that are given, or that its
 * masquerading names.
 * @param present the names of all tables of the host
 * @throws the first error, after everything has been tried
 */
export const remove = (
  host: Namespace, present: ReadonlySet<string>, attachment: Attachment,
  { addresses = [], links = [], legacy = true }: Hints = {},
): void => {
  const own = comment(attachment)
  const isOwn = (text: string): boolean => text === own
  const owner = (address: string): string | undefined => isThere(present) ? ownerOf(host, address) : undefined
  const isEntered = addresses.some(address => owner(address) === own)
  const entered = isThere(present) && !isEntered ? addressesOf(host, isOwn) : []
  const known = [...addresses, ...entered].length > 0 ? addresses : masqueradedAddresses(host, present, attachment)
  const given = known.filter(address => isOwn(owner(address) ?? own))
  clear(host, present, {
    addresses: [...given, ...entered], isMeant: isOwn, links: new Set([hostLinkName(attachment), ...links]),
  }, legacy)
}

/**
 * Removes what admits a network's attachments that are not among `valid`, as far as we did it, and what keeps apart
 * bridges without ports.
 * @throws the first error, after everything has been tried
 */
export const collect = (
  host: Namespace, present: ReadonlySet<string>, network: string, valid: readonly Attachment[],
): void => {
  const kept = new Set(valid.map(comment))
  const isMeant = (text: string): boolean => text.startsWith(networkComment(network)) && !kept.has(text)
  const addresses = isThere(present) ? addressesOf(host, isMeant) : []
  clear(host, present, { addresses, isMeant, links: new Set() })
}
