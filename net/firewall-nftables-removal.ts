// Takes elements out of the firewall's table, and with the last of something what only they had needed.
import { chains, findChain, revise, type ChainInfo } from '#netlink/nftables/query.ts'
import type { Table } from '#netlink/nftables/transaction.ts'
import { findAll, isConfined, isOpenWithin, placeIn, type Whereabouts } from './firewall-elements.ts'
import { confined, table, tallied, within } from './firewall-table.ts'
import * as forwardChain from './forward-chain.ts'
import type { Namespace } from './namespace.ts'
import { tableOf } from './table.ts'

/** Ends the confinement of devices whose last attachment leaves, and what only isolated ones had asked for. */
const release = (host: Namespace, own: Table, staying: readonly ChainInfo[], leaving: readonly ChainInfo[]): void => {
  const bridges = (all: readonly ChainInfo[], kind: string): string[] =>
    all.map(tallied).filter(counted => counted?.kind === kind).map(counted => counted!.subject)
  const kinds = ['same-bridge', 'isolated']
  const kept = new Set(kinds.flatMap(kind => bridges(staying, kind)))
  for (const bridge of new Set(kinds.flatMap(kind => bridges(leaving, kind)))) {
    const open = own.set(within.name, within.type)
    const pair = `${bridge} . ${bridge}`
    if (!kept.has(bridge)) {
      if (isConfined(host, bridge)) own.set(confined.name, confined.type).remove(bridge)
      if (isOpenWithin(host, bridge)) open.remove(pair)
    } else if (!bridges(staying, 'isolated').includes(bridge)) {
      open.insert(pair)
    }
  }
}

/**
 * Removes the elements whose comment `isStale`, what only they needed, and with the last of all the table and the rule
 * in FORWARD.
 * @returns how much: nothing, something of several, or all there was
 */
export const remove = (
  host: Namespace, isStale: (comment: string) => boolean, where?: Whereabouts,
): 'nothing' | 'some' | 'all' => {
  let outcome: 'nothing' | 'some' | 'all' = 'nothing'
  revise(host.netfilter, tx => {
    const own = tableOf(tx, table)
    const leaving = new Map<string, number>()
    const found = findAll(host, isStale, where)
    for (const { map, key, chain } of found) {
      placeIn(own, map).remove(key)
      if (chain !== undefined) leaving.set(chain, (leaving.get(chain) ?? 0) + 1)
    }
    outcome = found.length > 0 ? 'some' : 'nothing'
    const isEmpty = ({ name, use }: ChainInfo): boolean => use <= (leaving.get(name) ?? 0)
    const emptied = [...leaving.keys()].map(name => findChain(host.netfilter, table, name))
      .some(chain => chain !== undefined && isEmpty(chain))
    if (!emptied) return
    const all = chains(host.netfilter, table).filter(chain => tallied(chain))
    // Not with the table alone: the kernel refuses a chain that is in use after all, and `revise` looks again.
    for (const { name } of all.filter(isEmpty)) own.chain(name).delete()
    if (all.every(isEmpty)) {
      outcome = 'all'
      own.delete()
      return forwardChain.remove(host, tx)
    }
    release(host, own, all.filter(chain => !isEmpty(chain)), all.filter(isEmpty))
  })
  return outcome
}
