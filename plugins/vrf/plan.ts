// Which routing table a VRF gets, and which routes follow an interface into it, as functions of what there is.
import type { RouteCopy } from '#netlink/route/copy.ts'
import { RT_TABLE_LOCAL, RT_TABLE_MAIN } from '#netlink/route/route.ts'

const RT_TABLE_DEFAULT = 253 // include/uapi/linux/rtnetlink.h
const RESERVED: readonly number[] = [RT_TABLE_DEFAULT, RT_TABLE_MAIN, RT_TABLE_LOCAL]

/** The tables where routes are looked for by whoever is in no VRF. */
export const isCommon = (table: number): boolean => table === RT_TABLE_MAIN || table === RT_TABLE_LOCAL

/** The first table that is not in use, nor one of the kernel's own. */
export const freeTable = (used: ReadonlySet<number>): number => {
  let table = 1
  while (used.has(table) || RESERVED.includes(table)) table++
  return table
}

/**
 * What the kernel makes by itself, and makes again in the VRF's table: RTPROT_REDIRECT, RTPROT_KERNEL and RTPROT_RA of
 * include/uapi/linux/rtnetlink.h.
 */
const KERNELS: readonly number[] = [1, 2, 9]

/** A route that an interface takes along into `table`. It is `shared` when some of its ways are other interfaces'. */
export interface Move { readonly route: RouteCopy; readonly table: number; readonly shared: boolean }

/**
 * The routes that an interface would lose with becoming a port, in the order in which they can be made: first the way
 * to a gateway, then what leads through it. Those of tables that rules choose stay in them.
 * @param dev index of the interface
 * @param vrfTable number of the VRF's table
 */
export const movesOf = (routes: readonly RouteCopy[], dev: number, vrfTable: number): readonly Move[] => {
  const own = routes.filter(({ devs, protocol }) => devs.includes(dev) && !KERNELS.includes(protocol))
  const moves = own.map(route => ({
    route, table: isCommon(route.table) ? vrfTable : route.table, shared: route.devs.some(other => other !== dev),
  }))
  // A way that is one of several the kernel revives by itself.
  const lost = moves.filter(({ route, table, shared }) => !shared || table !== route.table)
  return [...lost.filter(({ route }) => !route.hasGateway), ...lost.filter(({ route }) => route.hasGateway)]
}
