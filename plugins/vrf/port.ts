// An interface becomes a port of a VRF with all its routes and addresses, or is put back with them. The kernel takes it
// down and up meanwhile (cycle_netdev of drivers/net/vrf.c): its routes go, and most of its IPv6 addresses.
import type { Namespace } from '#net/namespace.ts'
import { waitForCarrier, waitUntilTakenIn } from '#net/ready.ts'
import {
  copyAddresses6, copyRoutes, restoringAddress, restoringRoute, type AddressCopy,
} from '#netlink/route/copy.ts'
import { OPERSTATE_UP, type Link } from '#netlink/route/link.ts'
import { RT_TABLE_LOCAL } from '#netlink/route/route.ts'
import { tolerate } from '#sys/errno.ts'
import { movesOf, type Move } from './plan.ts'

const SCOPE_GLOBAL = 0

/** An interface before it becomes a port. */
export interface Past {
  readonly link: Link
  readonly addresses: readonly AddressCopy[]
  readonly moves: readonly Move[]
}

/** @param table number of the VRF's table */
export const pastOf = (pod: Namespace, link: Link, table: number): Past => ({
  link,
  addresses: copyAddresses6(pod.rtnetlink, link.index),
  moves: movesOf(copyRoutes(pod.rtnetlink), link.index, table),
})

/**
 * Puts IPv6 addresses back. Those that were in use are so at once: that nobody else has them has been found out.
 * @param table where the kernel makes the routes to them
 */
const restoreAddresses = (pod: Namespace, { link: { index }, addresses }: Past, table: number): void => {
  const present = new Map(copyAddresses6(pod.rtnetlink, index).map(copy => [copy.address, copy]))
  // The kernel tells the newest first, and of equals takes the first one as a source.
  for (const copy of addresses.toReversed()) {
    const { address, scope, tentative } = copy
    const now = present.get(address)
    const isInDoubt = now?.tentative && !tentative && scope === SCOPE_GLOBAL
    if (now && !isInDoubt) continue
    if (now) tolerate(['EADDRNOTAVAIL'], () => pod.addr.del({ index, address }))
    tolerate(['EEXIST'], () => pod.requestAll([restoringAddress(copy, !tentative)]))
  }
  const settled = addresses.filter(({ scope, tentative }) => scope === SCOPE_GLOBAL && !tentative)
  waitUntilTakenIn(pod, index, settled.map(({ address }) => address), table)
}

const settle = (pod: Namespace, past: Past, table: number): void => {
  const { name, operstate } = past.link
  if (operstate === OPERSTATE_UP) waitForCarrier(pod, name)
  restoreAddresses(pod, past, table)
}

/** ip link set IFNAME master VRF, without losing anything. @throws NetlinkError that names the route or address */
export const enslave = (pod: Namespace, past: Past, vrf: Link): void => {
  const { link: { index }, moves } = past
  const isOwn = (dev: number): boolean => dev === index
  pod.link.set(index, { master: vrf.index })
  settle(pod, past, vrf.info.table!)
  for (const { route, table, shared } of moves) {
    tolerate(['EEXIST'], () => pod.requestAll([restoringRoute(route, { table, over: isOwn })]))
    if (shared) pod.requestAll([restoringRoute(route, { over: dev => !isOwn(dev), replace: true })])
  }
}

/** Makes an interface what it was, wherever `enslave` has come to an end. */
export const putBack = (pod: Namespace, past: Past): void => {
  const { link: { index }, moves } = past
  const link = tolerate(['ENODEV'], () => pod.link.at(index))
  if (link === undefined) return
  if (link.master !== undefined) pod.link.set(index, { master: 0 })
  settle(pod, past, RT_TABLE_LOCAL)
  for (const { route, shared } of moves) {
    tolerate(['EEXIST'], () => pod.requestAll([restoringRoute(route, { replace: shared })]))
  }
}
