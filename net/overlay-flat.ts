// What a flat overlay needs beside its peers: one subnet for all hosts, which each container believes to have on
// its own link. The bridge answers ARP for addresses that are routed into the overlay, and an address of another host's
// block that lives here has a route of its own.
import { familyOf } from '#netlink/ip.ts'
import { OwnedRoutes } from '#netlink/route/owned-route.ts'
import { metricOf, routeKey } from './overlay-peer.ts'
import { carriedOut, PROTOCOL, type Outcome } from './overlay-sync.ts'
import type { Namespace } from './namespace.ts'
import { trySysctl, writeSysctl } from './sysctl.ts'

/**
 * Has a bridge answer ARP for what is routed elsewhere, at once: the kernel's random delay of up to 0.8 s (proxy_delay,
 * Documentation/networking/ip-sysctl.rst) is meant for several routers on one link, and there is only this one.
 */
export const answerForOthers = (host: Namespace, bridge: string): void => host.run(() => {
  writeSysctl(`ipv4/conf/${bridge}/proxy_arp`, '1')
  writeSysctl(`ipv4/neigh/${bridge}/proxy_delay`, '0')
  trySysctl(`ipv6/neigh/${bridge}/proxy_delay`, '0')
  writeSysctl(`ipv4/conf/${bridge}/send_redirects`, '0')
})

const singleAddress = (address: string): string => `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}`

/**
 * Keeps the routes to addresses of other hosts' blocks that live on this host's bridge. Our routes to the same
 * addresses that lead elsewhere are replaced, those on the bridge that are not listed removed.
 * @param bridge its index
 */
export const syncResidents = (host: Namespace, bridge: number, addresses: readonly string[]): Outcome => {
  const owned = new OwnedRoutes(host.rtnetlink, PROTOCOL)
  const known = owned.list()
  const wanted = new Map(addresses.map(singleAddress).map(dst => ({ dst, dev: bridge, priority: metricOf(dst) }))
    .map(route => [routeKey(route), route]))
  const here = new Set(known.filter(({ dev }) => dev === bridge).map(routeKey))
  const all = new Set(known.map(routeKey))
  const adding = [...wanted].filter(([key]) => !here.has(key))
    .map(([key, route]) => all.has(key) ? owned.replacing(route) : owned.adding(route))
  const removing = known.filter(route => route.dev === bridge && !wanted.has(routeKey(route)))
    .map(route => owned.deleting(route))
  return carriedOut(host, { adding, removing })
}
