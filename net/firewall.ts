// The firewall of the plugin of that name: containers' packets get past what drops them on the host, and bridges are
// kept apart. Native state is nftables in our own table; the chains of the Go suite are written on request and always
// removed, and firewalld has zones of its own.
import { findChain, isAvailable, tables } from '#netlink/nftables/query.ts'
import type { Link } from '#netlink/route/link.ts'
import type { Admission } from './admission.ts'
import { comment, networkComment, type Attachment } from './attachment.ts'
import * as iptables from './firewall-iptables.ts'
import * as theirs from './firewall-iptables-removal.ts'
import { findAll, isAddress, zoneOf, type Found, type Whereabouts } from './firewall-elements.ts'
import * as nftables from './firewall-nftables.ts'
import { remove as removeElements } from './firewall-nftables-removal.ts'
import { table } from './firewall-table.ts'
import * as firewalld from './firewalld.ts'
import * as forwardChain from './forward-chain.ts'
import { readTable } from './iptables.ts'
import { hasLegacy, places, tableName } from './iptables-tables.ts'
import type { Namespace } from './namespace.ts'
import * as portIsolation from './port-isolation.ts'
import { runAll } from './steps.ts'
import { fullName } from './table.ts'

/** Who lets packets through: we with a mark, rules with the texts of the Go suite, or a zone of firewalld's. */
export type Backend = 'nftables' | 'iptables' | 'firewalld'

/** How an attachment is set up. */
export interface Means {
  /** Undefined is firewalld where it runs, and nftables elsewhere. */
  readonly backend: Backend | undefined
  /** firewalld's zone. */
  readonly zone: string
  /** The container's port of a bridge; undefined where there is none. */
  readonly port: Link | undefined
}

/**
 * Lets an attachment's packets through, and keeps away from it those that its policy is about.
 * @throws NetlinkError, BusError, or Error with the words of iptables-restore
 */
export const add = (host: Namespace, admission: Admission, { backend, zone, port }: Means): void => {
  const { attachment, addresses, adminChain, ingressPolicy } = admission
  const chosen = backend ?? (firewalld.isRunning() ? 'firewalld' : 'nftables')
  if (chosen === 'nftables') {
    const isFirst = nftables.add(host, admission)
    forwardChain.add(host, addresses, adminChain, isFirst)
  } else if (chosen === 'firewalld') {
    // In this order, so that DEL knows what there may be to remove.
    nftables.add(host, admission, zone)
    firewalld.add(addresses.map(address => ({ zone, address })))
  } else {
    iptables.add(host, admission)
  }
  if (ingressPolicy === 'isolated' && port) portIsolation.add(host, attachment, port)
}

/** Removes elements of ours, and before them what they say is to be removed elsewhere. */
const removeOwn = (
  host: Namespace, found: readonly Found[], isStale: (comment: string) => boolean,
  where?: Whereabouts,
): void => {
  if (found.length === 0) return
  const zoned = found.flatMap(element => {
    const zone = zoneOf(host, element)
    return zone === undefined ? [] : [{ zone, address: element.key }]
  })
  if (zoned.length > 0) firewalld.remove(zoned)
  if (removeElements(host, isStale, where) === 'all') forwardChain.removeLegacy(host)
}

/** Whether the Go suite, or its backend of ours, has been at work with the nftables kind of iptables. */
const haveBeenHere = (host: Namespace): boolean =>
  places('filter').some(place => findChain(host.netfilter, tableName(place), iptables.FORWARD))

/** What is known of an attachment that leaves. */
export interface Hints extends Pick<Means, 'backend' | 'zone'> {
  /** With or without prefix length; without them the attachment's are looked for. */
  readonly addresses: readonly string[] | undefined
  /** Names of links of the host that belong to it. */
  readonly links: readonly string[]
}

/**
 * Removes everything that there is of an attachment, whichever program and backend made it; fine when there is nothing.
 * What belongs to a later owner of an address stays.
 * @throws the first error, after everything has been tried
 */
export const remove = (
  host: Namespace, attachment: Attachment, { backend, zone, addresses, links }: Hints,
): void => {
  const present = tables(host.netfilter)
  const isOwn = (text: string): boolean => text === comment(attachment)
  const isThere = present.has(fullName(table))
  const where = addresses && { attachment, addresses }
  const there = isThere && where ? findAll(host, () => true, where) : []
  const known = there.filter(({ owner }) => isOwn(owner))
  // What is incomplete belongs to a wrong result.
  const isComplete = addresses !== undefined && addresses.length > 0 &&
    known.filter(isAddress).length === addresses.length
  const found = isThere && !isComplete ? findAll(host, isOwn) : known
  const others = there.filter(({ owner }) => !isOwn(owner)).map(({ key }) => key)
  const own = addresses?.filter(address => !others.includes(address.split('/')[0]!))
  runAll([
    () => portIsolation.remove(host, attachment),
    () => removeOwn(host, found, isOwn, isComplete ? where : undefined),
    // Each attachment has been set up once, by one backend: only what is not ours is worth a child process.
    () => {
      if (found.length === 0 || haveBeenHere(host)) theirs.remove(host, present, attachment, { addresses: own, links })
    },
    () => {
      const isTheirs = found.length === 0 && (backend ?? 'firewalld') === 'firewalld'
      if (isTheirs && own && own.length > 0) firewalld.remove(own.map(address => ({ zone, address })))
    },
  ])
}

/** @param found what there is of the attachment */
const checkOwn = (
  host: Namespace, admission: Admission, port: Link | undefined, found: readonly Found[],
): void => {
  const { addresses, adminChain, ingressPolicy } = admission
  const zone = found.map(element => zoneOf(host, element)).find(name => name !== undefined)
  nftables.check(host, admission, zone)
  if (ingressPolicy === 'isolated' && port) portIsolation.check(port)
  if (zone === undefined) return forwardChain.check(host, addresses, adminChain)
  const missing = firewalld.findMissing(addresses.map(address => ({ zone, address })))
  if (missing !== undefined)
    throw new Error(`firewall: ${missing.address.split('/')[0]} is not in zone ${zone} of firewalld; ` +
      'add the container again')
}

const checkIptables = (host: Namespace, admission: Admission, port: Link | undefined): void => {
  iptables.check(host, admission)
  // The Go suite relies on br_netfilter.
  if (port && portIsolation.isMarked(admission.attachment, port)) portIsolation.check(port)
}

/**
 * Sees that an attachment is set up, as we do it or as the Go suite had done it before an upgrade.
 * @throws Error naming what is missing
 */
export const check = (host: Namespace, admission: Admission, { backend, zone, port }: Means): void => {
  if (backend === 'iptables') return checkIptables(host, admission, port)
  const isOwn = (text: string): boolean => text === comment(admission.attachment)
  const found = findAll(host, isOwn, admission)
  try {
    checkOwn(host, admission, port, found)
  } catch (fault) {
    if (found.length > 0) throw fault
    if (haveBeenHere(host) || places('filter').some(place => hasLegacy(host, place)))
      return checkIptables(host, admission, port)
    const isTheirs = admission.addresses.length > 0 && (backend ?? 'firewalld') === 'firewalld' &&
      firewalld.findMissing(admission.addresses.map(address => ({ zone, address }))) === undefined
    if (!isTheirs) throw fault
  }
}

/**
 * Removes what is left of a network's attachments that are not among `valid`.
 * @throws the first error, after everything has been tried
 */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const present = tables(host.netfilter)
  const kept = new Set(valid.map(comment))
  const isStale = (text: string): boolean => text.startsWith(networkComment(network)) && !kept.has(text)
  runAll([
    () => portIsolation.collect(host, network, valid),
    () => { if (present.has(fullName(table))) removeOwn(host, findAll(host, isStale), isStale) },
    () => theirs.collect(host, present, network, valid),
  ])
}

/** What a backend lacks on this host, undefined when it works. */
export const findLack = (host: Namespace, backend: Backend | undefined): string | undefined => {
  if (backend === 'firewalld') return firewalld.isRunning() ? undefined : 'firewalld does not run'
  if (backend !== 'iptables') return isAvailable(host.netfilter) ? undefined : 'this kernel has no nftables'
  try {
    for (const place of places('filter')) readTable(host, place)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
