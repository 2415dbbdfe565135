// Takes away what attachments have published in nftables: by the ports that are named, or wherever it is.
import { elements, findElement, revise, rules, type ElementInfo } from '#netlink/nftables/query.ts'
import type { Transaction } from '#netlink/nftables/transaction.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import { comment, hostLinkName, networkComment, type Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import type { HostPort } from './publication.ts'
import { removeWays } from './published-nftables-link.ts'
import {
  attachments, counters, dispatchers, families, maps, placeOf, published, readRegistration, uses, type Dispatcher,
  type Entry,
} from './published-nftables-table.ts'
import { tableOf } from './table.ts'

/** The jump to a chain of an attachment's own. */
interface Branch {
  readonly dispatcher: Dispatcher
  readonly owner: string
  readonly handle: bigint
  readonly chain: string
}

/** What there is of some attachments. */
export interface Traces {
  readonly ports: readonly Entry[]
  readonly containers: readonly { readonly family: Family; readonly key: string; readonly chain: string }[]
  readonly registrations: readonly { readonly key: string; readonly chain: string }[]
  readonly branches: readonly Branch[]
}

/** What a removal has taken away. */
export interface Removed { readonly ports: readonly Entry[]; readonly any: boolean }

const chainOf = ({ verdict }: ElementInfo): string => verdict?.chain ?? ''

const entryOf = (family: Family, map: Entry['map'], { key, value = '' }: ElementInfo): Entry =>
  ({ family, map, key, value })

/** The jumps to chains of those whose comment `isMeant`. */
export const branchesOf = (host: Namespace, isMeant: (owner: string) => boolean): Branch[] =>
  Object.values(dispatchers).flatMap(dispatcher => rules(host.netfilter, published, dispatcher)
    .filter(({ comment }) => isMeant(comment)).flatMap(({ comment: owner, handle, expressions }) => {
      const jump = expressions.find(part => part.kind === 'immediate')
      const chain = jump?.kind === 'immediate' ? jump.data?.verdict?.chain : undefined
      return chain === undefined ? [] : [{ dispatcher, owner, handle, chain }]
    }))

/** Everything of those whose comment `isStale`. */
const search = (host: Namespace, isStale: (owner: string) => boolean): Traces => {
  const all = (name: string, type: Parameters<typeof elements>[3], of?: Parameters<typeof elements>[4]) =>
    elements(host.netfilter, published, name, type, of).filter(element => isStale(element.comment))
  return {
    ports: families.flatMap(family => (['exact', 'any'] as const).flatMap(map => {
      const { name, type, of } = maps[family][map]
      return all(name, type, of).map(element => entryOf(family, map, element))
    })),
    containers: families.flatMap(family => all(maps[family].containers.name, maps[family].containers.type)
      .map(element => ({ family, key: element.key, chain: chainOf(element) }))),
    registrations: elements(host.netfilter, published, attachments.name, attachments.type)
      .filter(({ comment }) => isStale(readRegistration(comment).owner))
      .map(element => ({ key: element.key, chain: chainOf(element) })),
    branches: branchesOf(host, isStale),
  }
}

/** The container behind an address, if it is the attachment's. */
export const findContainer = (host: Namespace, address: string): ElementInfo | undefined => {
  const { name, type } = maps[familyOf(address)].containers
  return findElement(host.netfilter, published, name, type, address)
}

/** What an attachment has in the maps of these ports. */
const portsAmong = (host: Namespace, owner: string, ports: readonly HostPort[]): readonly Entry[] => {
  const found = ports.flatMap(port => {
    const { map, key } = placeOf(port)
    const candidates = families.filter(family => port.hostIp === undefined || familyOf(port.hostIp) === family)
    return candidates.flatMap(family => {
      const { name, type, of } = maps[family][map]
      const element = findElement(host.netfilter, published, name, type, key, of)
      return element?.comment === owner ? [entryOf(family, map, element)] : []
    })
  })
  // A runtime may list a port twice.
  return [...new Map(found.map(entry => [`${entry.family} ${entry.key}`, entry])).values()]
}

/** What an attachment has, found by the ports that it is known to publish, unless it has more. */
const lookUp = (host: Namespace, attachment: Attachment, ports: readonly HostPort[] = []): Traces => {
  const owner = comment(attachment)
  const { name, type } = attachments
  const found = findElement(host.netfilter, published, name, type, hostLinkName(attachment))
  const registered = readRegistration(found?.comment ?? '')
  const registration = registered.owner === owner ? found : undefined
  const entries = portsAmong(host, owner, ports)
  const isAll = entries.length > 0 && registered.ports === entries.length
  const branches = registration && chainOf(registration) === counters.special
    ? branchesOf(host, text => text === owner) : []
  if (registration && (!isAll || branches.length > 0)) return search(host, text => text === owner)
  const addresses = new Set(entries.map(({ value }) => value.split(' . ')[0]!))
  return {
    ports: entries,
    containers: [...addresses].flatMap(key => {
      const element = findContainer(host, key)
      return element?.comment === owner ? [{ family: familyOf(key), key, chain: chainOf(element) }] : []
    }),
    registrations: registration ? [{ key: registration.key, chain: chainOf(registration) }] : [],
    branches,
  }
}

/**
 * Removes traces, and with the last of a link its chain, and with the last of all the table.
 * @param staying chains of links that get somebody else in the same transaction
 * @returns how to take back what of it is not in the transaction
 */
export const erase = (
  host: Namespace, tx: Transaction, traces: Traces, staying: ReadonlySet<string> = new Set(),
): (() => void)[] => {
  const { ports, containers, registrations, branches } = traces
  const table = tableOf(tx, published)
  const leaving = new Map<string, number>()
  const leave = (chain: string): void => { leaving.set(chain, (leaving.get(chain) ?? 0) + 1) }
  for (const { family, map, key } of ports) {
    const { name, type, of } = maps[family][map]
    table.valueMap(name, type, of).remove(key)
  }
  for (const { family, key, chain } of containers) {
    table.map(maps[family].containers.name, maps[family].containers.type).remove(key)
    leave(chain)
  }
  for (const { key, chain } of registrations) {
    table.map(attachments.name, attachments.type).remove(key)
    leave(chain)
  }
  for (const { dispatcher, handle, chain } of branches) {
    table.chain(dispatcher).deleteRule(handle)
    table.chain(chain).delete()
  }
  const isLast = registrations.length > 0 &&
    Object.values(counters).every(chain => uses(host, chain) === (leaving.get(chain) ?? 0))
  for (const chain of staying) leaving.delete(chain)
  const takeBack = removeWays(host, tx, leaving, isLast)
  if (isLast) table.delete()
  return takeBack
}

/** As `revise`, for a `build` that does more than is in the transaction: it returns how to take that back. */
export const reviseBeyond = (host: Namespace, build: (tx: Transaction) => readonly (() => void)[]): void => {
  let takeBack: readonly (() => void)[] = []
  const undo = (): void => { for (const step of takeBack) step() }
  try {
    revise(host.netfilter, tx => {
      undo()
      takeBack = []
      takeBack = build(tx)
    })
  } catch (error) {
    undo()
    throw error
  }
}

const removeTraces = (host: Namespace, find: () => Traces): Removed => {
  let traces: Traces
  reviseBeyond(host, tx => {
    traces = find()
    return erase(host, tx, traces)
  })
  const { ports, branches } = traces!
  // An attachment without either has its rules in iptables.
  return { ports, any: ports.length > 0 || branches.length > 0 }
}

/**
 * Removes what an attachment has published; fine when there is nothing. With `ports` it costs as much as they do, as
 * long as it is these that are there; without, all ports of the host are looked through if it has published any.
 */
export const remove = (host: Namespace, attachment: Attachment, ports?: readonly HostPort[]): Removed =>
  removeTraces(host, () => lookUp(host, attachment, ports))

/** Removes what is left of a network's attachments that are not among `valid`. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): Removed => {
  const start = networkComment(network)
  const kept = new Set(valid.map(comment))
  return removeTraces(host, () => search(host, owner => owner.startsWith(start) && !kept.has(owner)))
}
