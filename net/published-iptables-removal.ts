// Takes away what published an attachment's ports in iptables, in either kind of it and whoever wrote it: its branch of
// CNI-HOSTPORT-DNAT, and of CNI-HOSTPORT-SNAT, which the Go suite had before 0.8. The shared chains stay, as with
// the Go suite: one of its plugins that runs at the same time makes sure of a chain and then relies on it.
import { findChain } from '#netlink/nftables/query.ts'
import type { Attachment } from './attachment.ts'
import type { Place } from './iptables.ts'
import { chainName, networkStart } from './iptables-chain.ts'
import {
  chainOfLine, jumpsOf, removeBranch, removeLegacyBranch, staleChains, type Branch,
} from './iptables-removal.ts'
import { quoted, rulesOfChain } from './iptables-rule.ts'
import { eachLegacy, hasLegacy, places, placesAmong, tableName } from './iptables-tables.ts'
import type { Namespace } from './namespace.ts'
import { DNAT, INFIX } from './published-iptables-rules.ts'

const generations = [
  { entry: DNAT, infix: INFIX, word: 'dnat' },
  { entry: 'CNI-HOSTPORT-SNAT', infix: 'SN-', word: 'snat' },
] as const

/** The chains that an attachment may have. */
export const chains = (attachment: Attachment): string[] =>
  generations.map(({ infix }) => chainName(attachment, infix))

const branchesOf = (attachment: Attachment): Branch[] =>
  generations.map(({ entry, infix }) => ({ entry, chain: chainName(attachment, infix) }))

/** Removes what an attachment has in the tables of iptables-nft, as far as these are `present`. */
export const remove = (host: Namespace, present: ReadonlySet<string>, attachment: Attachment): void => {
  for (const place of placesAmong(present, 'nat'))
    for (const branch of branchesOf(attachment)) removeBranch(host, place, branch)
}

/** The same for every attachment of a network that is not among `valid`. */
export const collect = (
  host: Namespace, present: ReadonlySet<string>, network: string, valid: readonly Attachment[],
): void => {
  for (const place of placesAmong(present, 'nat'))
    for (const { entry, infix, word } of generations) {
      const kept = new Set(valid.map(attachment => chainName(attachment, infix)))
      const jumps = jumpsOf(host, place, entry, `${word} ${networkStart(network)}`)
      for (const chain of staleChains(jumps, kept)) removeBranch(host, place, { entry, chain })
    }
}

/** Whether there may be iptables rules of an attachment: cheaply told, without a child process. */
export const areThere = (host: Namespace, present: ReadonlySet<string>, attachment: Attachment): boolean => {
  const isBranched = (place: Place): boolean =>
    findChain(host.netfilter, tableName(place), chainName(attachment, INFIX)) !== undefined
  return places('nat').some(place => hasLegacy(host, place)) || placesAmong(present, 'nat').some(isBranched)
}

/** Removes what an attachment has in the tables of iptables-legacy. Starts nothing on a host without any. */
export const removeLegacy = (host: Namespace, attachment: Attachment): void =>
  eachLegacy(host, 'nat', (place, lines) => {
    for (const branch of branchesOf(attachment)) removeLegacyBranch(host, place, lines, branch)
  })

/** The same for every attachment of a network that is not among `valid`. */
export const collectLegacy = (host: Namespace, network: string, valid: readonly Attachment[]): void =>
  eachLegacy(host, 'nat', (place, lines) => {
    for (const { entry, infix, word } of generations) {
      const start = `--comment ${quoted(`${word} ${networkStart(network)}`).slice(0, -1)}`
      const kept = new Set(valid.map(attachment => chainName(attachment, infix)))
      const jumps = rulesOfChain(lines, entry).map(line => ({ chain: chainOfLine(line), ours: line.includes(start) }))
      for (const chain of staleChains(jumps, kept)) removeLegacyBranch(host, place, lines, { entry, chain })
    }
  })
