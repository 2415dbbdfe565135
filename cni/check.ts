// CHECK: is what the result says still there? SPEC.md, section 2, "CHECK".
import { errnoOf } from '#sys/errno.ts'
import type { Namespace } from '#net/namespace.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import { RT_TABLE_MAIN, type Route as KernelRoute } from '#netlink/route/route.ts'
import { canonicalPrefix } from '#net/prefix.ts'
import { CniError, invalidConfig } from './errors.ts'
import { nextHop, type Interface, type Result, type Route } from './result.ts'

/** A difference between what was set up and what there is. */
export const broken = (message: string): CniError =>
  new CniError('checkFailed', message, 'delete the attachment and add it again, or restore what was changed')

/** @throws CniError 102 unless the two are equal */
export const expect = (what: string, actual: unknown, wanted: unknown): void => {
  if (actual !== wanted) throw broken(`${what} is ${JSON.stringify(actual)}, expected ${JSON.stringify(wanted)}`)
}

/** Runs a check of a lower layer, whose faults are plain errors. @throws CniError 102 with the fault's words */
export const verify = (check: () => void): void => {
  try {
    check()
  } catch (error) {
    throw error instanceof Error && errnoOf(error) === undefined ? broken(error.message) : error
  }
}

/** @throws CniError 7 when CHECK was called without prevResult */
export const requirePrevious = (previous: Result | undefined): Result => {
  if (previous === undefined) throw invalidConfig('prevResult is missing', 'CHECK needs the result of ADD')
  return previous
}

const isDefault = (dst: string): boolean => dst.endsWith('/0')

/** A later plugin may have moved a route out of the main table, so any table will do unless the result names one. */
const hasRoute = (routes: readonly KernelRoute[], { dst, gw, table }: Route, via: string | undefined): boolean =>
  routes.some(route => route.dst === canonicalPrefix(dst) &&
    (table === undefined || table === RT_TABLE_MAIN || route.table === table) &&
    (isDefault(dst) ? gw === undefined || route.via !== undefined : via === undefined || route.via === via))

/**
 * Compares the container's interface with a result: presence, state, hardware address, addresses, routes. What others
 * have added beside it is fine.
 * @param isSought whether a routing table is one where the interface's routes may be
 * @returns the link, for what is special to its kind
 * @throws CniError 102 that names the difference, 7 when the result does not speak of the interface
 */
export const checkInterface = (
  pod: Namespace, ifName: string, result: Result, isSought = (_table: number): boolean => true,
): Link => {
  const at = result.interfaces.findIndex(entry => entry.name === ifName && entry.sandbox === pod.path)
  if (at < 0) {
    throw invalidConfig(
      `prevResult has no interface ${ifName} in ${pod.path}`,
      'CHECK needs the result of ADD for the same CNI_NETNS',
    )
  }
  const link = pod.link.find(ifName)
  if (link === undefined) throw broken(`${ifName} is missing in ${pod.path}`)
  expect(`state of ${ifName}`, link.up ? 'up' : 'down', 'up')
  const { mac } = result.interfaces[at] as Interface
  if (mac !== undefined) expect(`mac of ${ifName}`, link.address, mac.toLowerCase())

  const own = result.ips.filter(ip => ip.interface === undefined || ip.interface === at)
  const addresses = new Set(pod.addr.list(link.index).map(({ address }) => address))
  for (const { address } of own) {
    if (!addresses.has(canonicalPrefix(address))) throw broken(`${ifName} has lost ${address}`)
  }

  const routes = pod.route.list().filter(({ dev, table = RT_TABLE_MAIN }) => dev === link.index && isSought(table))
  for (const route of result.routes) {
    const via = nextHop(route, own)
    if (!hasRoute(routes, route, via)) {
      const hop = via ? ` via ${via}` : ''
      throw broken(`${familyOf(route.dst)} route ${route.dst}${hop} of ${ifName} is missing`)
    }
  }
  return link
}
