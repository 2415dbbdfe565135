// The addresses of an overlay that nobody has. Without these routes packets for them would leave by the host's default
// route, into networks that they do not belong to; so they are answered with an error.
import { OwnedRoutes } from '#netlink/route/owned-route.ts'
import type { Namespace } from './namespace.ts'
import { carriedOut, PROTOCOL, type Outcome } from './overlay-sync.ts'

/** Says of which VNI a fence is, and loses against every other route of ours. */
const metricOf = (vni: number): number => 2 ** 25 + vni

/** Keeps an unreachable route for each subnet of an overlay and for nothing else; without subnets none. */
export const ensureFence = (host: Namespace, vni: number, subnets: readonly string[]): Outcome => {
  const owned = new OwnedRoutes(host.rtnetlink, PROTOCOL)
  const priority = metricOf(vni)
  const present = owned.listUnreachable().filter(route => route.priority === priority).map(({ dst }) => dst)
  return carriedOut(host, {
    adding: subnets.filter(dst => !present.includes(dst)).map(dst => owned.adding({ dst, priority })),
    removing: present.filter(dst => !subnets.includes(dst)).map(dst => owned.deleting({ dst, priority })),
  })
}
