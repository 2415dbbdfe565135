// The FORWARD chain of iptables, whose policy or rules drop what they do not know: Docker's, Kubernetes', ufw's. One
// rule in front lets through what net/firewall-table.ts has marked. The administrator's own chain comes before it.
import { encoded, u32 } from '#netlink/codec.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import type { Expr } from '#netlink/nftables/expr.ts'
import { markHas } from '#netlink/nftables/match.ts'
import { findChain, findTable, revise, rules, type RuleInfo } from '#netlink/nftables/query.ts'
import { accept, counter, jump } from '#netlink/nftables/statement.ts'
import type { Transaction } from '#netlink/nftables/transaction.ts'
import { errnoOf } from '#sys/errno.ts'
import { MARK } from './firewall-table.ts'
import { change, readTable, type Place } from './iptables.ts'
import { chainOf, commentOf, hasLegacy, tableName } from './iptables-tables.ts'
import type { Namespace } from './namespace.ts'
import { tableOf } from './table.ts'

const CHAIN = 'FORWARD'
const ACCEPTED = 'fairlead: marked by nftables table inet fairlead_firewall'
const OVERRIDES = 'fairlead: overrides of the administrator'
const isOurs = (comment: string): boolean => comment === ACCEPTED || comment === OVERRIDES

/** Of a chain and table of iptables that were not there. iptables takes no notice of it. */
const MADE = 'fairlead: for the firewall'

const place = (family: Family): Place => ({ family, table: 'filter' })

/** Padded to the 8 bytes that struct xt_mark_mtinfo1 of include/uapi/linux/netfilter/xt_mark.h has to be aligned to. */
const xtMark: Expr = {
  kind: 'match', name: 'mark', revision: 1,
  info: Uint8Array.of(...encoded(u32, MARK), ...encoded(u32, MARK), ...new Uint8Array(8)),
}
/** iptables before 1.8.8 reads its own extension only, and later ones both. Not every kernel has the extension. */
const ways: readonly (readonly Expr[])[] = [[xtMark], markHas(MARK)]

/** Our rule, and the jumps that have to stay in front of it. */
interface Order {
  readonly rule: RuleInfo | undefined
  /** Where the administrator's chain is jumped to. */
  readonly own: RuleInfo | undefined
  /** The last jump to this one or another network's. */
  readonly last: RuleInfo | undefined
}

const orderOf = (present: readonly RuleInfo[], adminChain: string | undefined): Order => {
  const own = present.find(rule => adminChain !== undefined && chainOf(rule) === adminChain)
  return {
    rule: present.find(rule => commentOf(rule) === ACCEPTED), own,
    last: present.findLast(rule => rule === own || commentOf(rule) === OVERRIDES),
  }
}

const isBehind = (present: readonly RuleInfo[], rule: RuleInfo, jump: RuleInfo | undefined): boolean =>
  jump === undefined || present.indexOf(jump) < present.indexOf(rule)

const isInOrder = (present: readonly RuleInfo[], adminChain: string | undefined): boolean => {
  const { rule, own } = orderOf(present, adminChain)
  return rule !== undefined && (adminChain === undefined || own !== undefined) && isBehind(present, rule, own)
}

const existing = (host: Namespace, family: Family, adminChain: string): string | undefined =>
  findChain(host.netfilter, tableName(place(family)), adminChain) ? adminChain : undefined

const insert = (host: Namespace, tx: Transaction, family: Family, adminChain: string, way: readonly Expr[]): void => {
  const name = tableName(place(family))
  const table = tableOf(tx, name)
  const chain = table.chain(CHAIN)
  // iptables makes both when it needs them. A policy that comes later would find its packets without our rule.
  if (!findTable(host.netfilter, name)) table.add({ comment: MADE })
  if (!findChain(host.netfilter, name, CHAIN))
    chain.add({ type: 'filter', hook: 'forward', priority: 'filter', comment: MADE })
  const present = rules(host.netfilter, name, CHAIN)
  const admin = existing(host, family, adminChain)
  if (isInOrder(present, admin)) return
  const { rule, own, last } = orderOf(present, admin)
  if (rule === undefined || !isBehind(present, rule, own)) {
    if (rule) chain.deleteRule(rule.handle)
    chain.insert(last?.handle, way, counter, accept, { comment: ACCEPTED })
  }
  // To the front, where the last one to be inserted is the first.
  if (admin !== undefined && own === undefined) chain.insert(undefined, counter, jump(admin), { comment: OVERRIDES })
}

const LEGACY_MATCH = `-m mark --mark 0x${MARK.toString(16)}/0x${MARK.toString(16)}`
const legacyRule = `${CHAIN} ${LEGACY_MATCH} -m comment --comment "${ACCEPTED}" -j ACCEPT`

const addLegacy = (host: Namespace, family: Family, adminChain: string): void => {
  const lines = readTable(host, place(family), 'legacy')
  if (lines.includes(`-A ${legacyRule}`)) return
  const admin = lines.some(line => line.startsWith(`:${adminChain} `))
    ? [`-I ${CHAIN} -m comment --comment "${OVERRIDES}" -j ${adminChain}`] : []
  change(host, place(family), [`-I ${legacyRule}`, ...admin], 'legacy')
}

const familiesOf = (addresses: readonly string[]): Family[] => [...new Set(addresses.map(familyOf))]

/** Whether the rule is where it has to be. */
const isThere = (host: Namespace, family: Family, adminChain: string): boolean =>
  isInOrder(rules(host.netfilter, tableName(place(family)), CHAIN), existing(host, family, adminChain))

/**
 * Makes sure of the rule, for the families of some addresses.
 * @param adminChain comes before it, should there be a chain of that name in table filter
 * @param legacy whether tables of the legacy kind are to be looked at, which takes a child process where there are any
 */
export const add = (
  host: Namespace, addresses: readonly string[], adminChain: string, legacy: boolean,
): void => {
  for (const family of familiesOf(addresses)) {
    const isLegacy = hasLegacy(host, place(family))
    if (isLegacy && legacy) addLegacy(host, family, adminChain)
    // A host that works with the legacy kind is not to have the other one's tables from us.
    if (isLegacy && !findChain(host.netfilter, tableName(place(family)), CHAIN)) continue
    if (isThere(host, family, adminChain)) continue
    try {
      revise(host.netfilter, tx => insert(host, tx, family, adminChain, ways[0]!))
    } catch (error) {
      if (!['ENOENT', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) throw error
      revise(host.netfilter, tx => insert(host, tx, family, adminChain, ways[1]!))
    }
  }
}

/** Takes the rule away, for use in `revise`; and the chain, if we have made it and nobody uses it. */
export const remove = (host: Namespace, tx: Transaction): void => {
  for (const family of ['ipv4', 'ipv6'] as const) {
    const name = tableName(place(family))
    const own = rules(host.netfilter, name, CHAIN).filter(rule => isOurs(commentOf(rule)))
    const chain = findChain(host.netfilter, name, CHAIN)
    if (chain === undefined) continue
    const table = tableOf(tx, name)
    for (const { handle } of own) table.chain(CHAIN).deleteRule(handle)
    if (chain.comment !== MADE || chain.policy !== 'accept' || chain.use > own.length) continue
    const parent = findTable(host.netfilter, name)
    if (parent?.comment === MADE && parent.use === 1) table.delete()
    else table.chain(CHAIN).delete()
  }
}

/** The same for tables of the legacy kind. Starts nothing on a host without any. */
export const removeLegacy = (host: Namespace): void => {
  for (const family of ['ipv4', 'ipv6'] as const) {
    if (!hasLegacy(host, place(family))) continue
    const own = readTable(host, place(family), 'legacy')
      .filter(line => [ACCEPTED, OVERRIDES].some(text => line.includes(`--comment "${text}"`)))
    change(host, place(family), own.map(line => line.replace('-A', '-D')), 'legacy')
  }
}

/** Sees that the rule is there, for the families of some addresses. @throws Error naming what is missing */
export const check = (host: Namespace, addresses: readonly string[], adminChain: string): void => {
  for (const family of familiesOf(addresses)) {
    const { family: prefix, table } = tableName(place(family))
    const isMissing = findChain(host.netfilter, { family: prefix, table }, CHAIN) !== undefined &&
      !isThere(host, family, adminChain)
    const isMissingInLegacy = hasLegacy(host, place(family)) &&
      !readTable(host, place(family), 'legacy').includes(`-A ${legacyRule}`)
    if (isMissing || isMissingInLegacy)
      throw new Error(`firewall: chain ${CHAIN} of ${prefix} table ${table} has no rule for what ` +
        'nftables table inet fairlead_firewall has marked; add a container again')
  }
}
