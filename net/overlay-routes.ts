// Routes of overlays that lead to a device alone, without a gateway.
import { OwnedRoutes, type OwnedRoute } from '#netlink/route/owned-route.ts'
import { metricOf, routeKey } from './overlay-peer.ts'
import { PROTOCOL, type Plan } from './overlay-sync.ts'
import type { Namespace } from './namespace.ts'

/** Where to, and, if it matters, from which of its addresses the host itself sends there. */
export interface Target { readonly dst: string; readonly src?: string | undefined }

/** By what the kernel tells routes apart. */
export type RouteMap = ReadonlyMap<string, OwnedRoute>

const byKey = (routes: readonly OwnedRoute[]): RouteMap => new Map(routes.map(route => [routeKey(route), route]))

/** Routes of ours to targets over a device. @param dev its index */
export const routesOver = (dev: number, targets: readonly Target[]): RouteMap =>
  byKey(targets.map(({ dst, src }) => ({ dst, dev, src, priority: metricOf(dst) })))

/**
 * What is to be sent so that there are these routes instead of those.
 * @param elsewhere keys of our routes that lead to other devices: they are replaced, those of others are not
 */
export const planRoutes = (host: Namespace, now: RouteMap, wanted: RouteMap, elsewhere: ReadonlySet<string>): Plan => {
  const owned = new OwnedRoutes(host.rtnetlink, PROTOCOL)
  const adding = [...wanted].filter(([key, { src }]) => !now.has(key) || now.get(key)!.src !== src)
    .map(([key, route]) => now.has(key) || elsewhere.has(key) ? owned.replacing(route) : owned.adding(route))
  const removing = [...now].filter(([key]) => !wanted.has(key)).map(([, route]) => owned.deleting(route))
  return { adding, removing }
}

/** The same by what the kernel has: these targets, and no others, are reached over a device. */
export const planTargets = (host: Namespace, dev: number, targets: readonly Target[]): Plan => {
  const known = new OwnedRoutes(host.rtnetlink, PROTOCOL).list()
  const here = byKey(known.filter(route => route.dev === dev))
  return planRoutes(host, here, routesOver(dev, targets), new Set(known.map(routeKey)))
}
