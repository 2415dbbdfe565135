// The firewall with the chains and rule texts of the Go suite, which a configuration asks for with `backend: iptables`:
// plugins/meta/firewall/iptables.go and ingresspolicy.go. Read by one iptables-save and written by one iptables-restore
// for each family; firewall-iptables-removal.ts takes it away.
import { formatIp } from '#netlink/ip.ts'
import type { Admission } from './admission.ts'
import { enter } from './admitted.ts'
import { whileHostIsLocked } from './host-lock.ts'
import { change, readTable, restore, type Place } from './iptables.ts'
import { addition, deletion, rulesOfChain, textOf, undeclared, word, type Rule } from './iptables-rule.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix, type Prefix } from './prefix.ts'

export const FORWARD = 'CNI-FORWARD'
/** What comes from a bridge, then what goes to one of them. */
export const stages = ['CNI-ISOLATION-STAGE-1', 'CNI-ISOLATION-STAGE-2'] as const
const [STAGE1, STAGE2] = stages
/** What the comments of isolation begin with. */
export const ISOLATION = 'CNI firewall plugin rules (ingressPolicy: '

const remark = (text: string): string => `-m comment --comment "${text}"`
const policyRemark = (policy: string): string => remark(`${ISOLATION}${policy})`)
const either = policyRemark('same-bridge|isolated')

const chainsOf = ({ adminChain, bridge, ingressPolicy }: Admission): readonly string[] =>
  [FORWARD, adminChain, ...bridge === undefined || ingressPolicy === 'open' ? [] : stages]

const jumpToForward: Rule = {
  chain: 'FORWARD', text: `${remark('CNI firewall plugin rules')} -j ${FORWARD}`, first: true,
}
const jumpToStages: Rule = { chain: 'FORWARD', text: `${either} -j ${STAGE1}`, first: true }

/** The rules that let in what belongs to connections, and out what an address sends. */
export const ownRules = (prefix: Prefix): readonly Rule[] => {
  const address = `${formatIp(prefix.bytes)}/${8 * prefix.bytes.length}`
  return [
    { chain: FORWARD, text: `-d ${address} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT` },
    { chain: FORWARD, text: `-s ${address} -j ACCEPT` },
  ]
}

/** The rules that keep apart bridges, and the ports of one that is isolated. */
const isolationRules = ({ ingressPolicy, bridge }: Admission): readonly Rule[] => {
  if (bridge === undefined || ingressPolicy === 'open') return []
  const [name, own] = [word(bridge), policyRemark(ingressPolicy)]
  const isolating: Rule = { chain: STAGE1, text: `-i ${name} -o ${name} ${own} -j DROP`, first: true }
  return [
    jumpToStages,
    { chain: STAGE1, text: `-i ${name} ! -o ${name} ${own} -j ${STAGE2}`, first: true },
    ...ingressPolicy === 'isolated' ? [isolating] : [],
    { chain: STAGE1, text: `${either} -j RETURN` },
    { chain: STAGE2, text: `-o ${name} ${either} -j DROP`, first: true },
    { chain: STAGE2, text: `${either} -j RETURN` },
  ]
}

/** All of an admission's rules in the order in which the Go suite makes sure of them, but for the addresses' own. */
const sharedRules = (admission: Admission): readonly Rule[] => [
  jumpToForward,
  {
    chain: FORWARD, first: true,
    text: `${remark('CNI firewall plugin admin overrides')} -j ${word(admission.adminChain)}`,
  },
  ...isolationRules(admission),
]

/** A line without the comments of isolation, of which there are two generations: before version 1.7 and since. */
const withoutPolicy = (line: string): string =>
  line.replace(/ -m comment --comment "CNI firewall plugin rules \(ingressPolicy: [^)]*\)"/, '')

const absent = (rules: readonly Rule[], lines: readonly string[]): Rule[] => {
  const there = new Set(lines.map(withoutPolicy))
  return rules.filter(rule => !there.has(withoutPolicy(`-A ${textOf(rule)}`)))
}

/** What has to be written for the shared rules. */
const sharedLines = (admission: Admission, lines: readonly string[]): string[] => {
  const missing = absent(sharedRules(admission), lines)
  // Whom the stages turn away must not be let in before: they stay in front.
  const stays = missing.includes(jumpToForward)
    ? rulesOfChain(lines, 'FORWARD').filter(line => line.endsWith(` -j ${STAGE1}`)) : []
  return [
    ...undeclared(chainsOf(admission), lines).map(chain => `-N ${word(chain)}`), ...stays.map(deletion),
    ...missing.map(addition), ...stays.map(line => line.replace('-A', '-I')),
  ]
}

const addFamily = (host: Namespace, admission: Admission, place: Place, own: readonly Rule[]): void => {
  const write = (): readonly string[] => {
    const lines = readTable(host, place)
    return [...sharedLines(admission, lines), ...absent(own, lines).map(addition)]
  }
  const lines = readTable(host, place)
  if (sharedLines(admission, lines).length === 0 && restore(host, place, absent(own, lines).map(addition)).ok) return
  whileHostIsLocked('exclusive', () => {
    // A plugin of the Go suite knows nothing of the lock; -N fails when it comes first.
    if (!restore(host, place, write()).ok) change(host, place, write())
  })
}

const eachFamily = ({ addresses }: Admission, act: (place: Place, own: readonly Rule[]) => void): void => {
  const prefixes = addresses.map(parsePrefix).filter(prefix => prefix !== undefined)
  for (const family of ['ipv4', 'ipv6'] as const) {
    const own = prefixes.filter(prefix => prefix.family === family)
    if (own.length > 0) act({ family, table: 'filter' }, own.flatMap(ownRules))
  }
}

/** Admits an attachment; fine when it is. @throws NetlinkError, or Error with the words of iptables-restore */
export const add = (host: Namespace, admission: Admission): void => {
  enter(host, admission.attachment, admission.addresses)
  eachFamily(admission, (place, own) => addFamily(host, admission, place, own))
}

/** Keeps a bridge apart without admitting anybody: for when its rules have gone too early. */
export const isolate = (
  host: Namespace, place: Place, bridge: string, ingressPolicy: Admission['ingressPolicy'],
): void => {
  const attachment = { network: '', containerId: '', ifName: '' }
  const admission: Admission = { attachment, addresses: [], bridge, ingressPolicy, adminChain: FORWARD }
  const lines = readTable(host, place)
  change(host, place, [
    ...undeclared(stages, lines).map(chain => `-N ${chain}`),
    ...absent(isolationRules(admission), lines).map(addition),
  ])
}

/**
 * Sees that an attachment is admitted and its bridge kept apart, whether we or the Go suite did it.
 * @throws Error naming the first rule that is missing
 */
export const check = (host: Namespace, admission: Admission): void => eachFamily(admission, (place, own) => {
  const [missing] = absent([...sharedRules(admission), ...own], readTable(host, place))
  if (missing !== undefined)
    throw new Error(`firewall: ${place.family} rule "${textOf(missing)}" is missing in iptables table filter; ` +
      'add the container again')
})
