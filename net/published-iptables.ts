// Published ports with the chains and rule texts of the Go suite, which a configuration asks for with
// `backend: iptables`. Written by one iptables-restore for each family; published-iptables-removal.ts takes it away.
import type { Family } from '#netlink/ip.ts'
import { whileHostIsLocked } from './host-lock.ts'
import { change, findMissing, readTable, restore, type Place } from './iptables.ts'
import { chainName } from './iptables-chain.ts'
import { addition, deletion, rulesOfChain, textOf, undeclared } from './iptables-rule.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix } from './prefix.ts'
import type { Publication } from './publication.ts'
import { DNAT, entryRules, INFIX, ownRules, sharedChains, sharedRules } from './published-iptables-rules.ts'

const eachFamily = ({ addresses }: Publication, act: (place: Place) => void): void => {
  const families = new Set(addresses.map(address => parsePrefix(address)?.family))
  for (const family of ['ipv4', 'ipv6'] as const) if (families.has(family)) act({ family, table: 'nat' })
}

/** What has to be written where something is there already: the shared chains, or a part of them, or our own. */
const missingLines = (publication: Publication, family: Family, present: readonly string[]): string[] => {
  const chains = [...sharedChains(publication), chainName(publication.attachment, INFIX)]
  const entries = entryRules(publication, family)
  // iptables-save does not print conditions as they have been given: those that are there are written again.
  const replaced = rulesOfChain(present, DNAT).filter(line => entries.some(({ isLike }) => isLike(line)))
  const missing = [...sharedRules(publication), ...ownRules(publication, family)]
    .filter(rule => !present.includes(`-A ${textOf(rule)}`))
  return [
    ...undeclared(chains, present).map(chain => `-N ${chain}`), ...replaced.map(deletion),
    ...[...missing, ...entries].map(addition),
  ]
}

const addFamily = (host: Namespace, publication: Publication, place: Place): void => {
  const { family } = place
  // The usual case: what is shared is there, the chain is not.
  const { ok, absent } = restore(host, place, [
    ...sharedRules(publication).map(rule => `-C ${textOf(rule)}`),
    `-N ${chainName(publication.attachment, INFIX)}`,
    ...[...ownRules(publication, family), ...entryRules(publication, family)].map(addition),
  ])
  // Where nothing of the family is published, what is written is of no use but to the Go suite's CHECK.
  if (ok || absent && ownRules(publication, family).length === 0) return
  const write = (): readonly string[] => missingLines(publication, family, readTable(host, place))
  // A plugin of the Go suite knows nothing of the lock; -N fails when it comes first.
  if (!restore(host, place, write()).ok) change(host, place, write())
}

/**
 * Writes the rules of an attachment. Those of an interface that it has in the same network already stay: the Go suite
 * has one chain for both.
 * @param refuse throws when somebody else has a port; nobody gets one between that look and the rules
 * @throws Error with the words of iptables-restore
 */
export const add = (host: Namespace, publication: Publication, refuse: () => void = () => {}): void =>
  whileHostIsLocked('exclusive', () => {
    refuse()
    eachFamily(publication, place => addFamily(host, publication, place))
  })

/**
 * Sees that an attachment's rules are there, whether we or the Go suite wrote them.
 * @throws Error naming the first that is not
 */
export const check = (host: Namespace, publication: Publication): void => eachFamily(publication, place => {
  const own = ownRules(publication, place.family)
  if (own.length === 0) return
  const wanted = [...sharedRules(publication), ...own, ...entryRules(publication, place.family)].map(textOf)
  const missing = findMissing(host, place, wanted)
  if (missing !== undefined)
    throw new Error(
      `published ports: ${place.family} rule "${missing}" is missing in iptables table nat; add the container again`)
})
