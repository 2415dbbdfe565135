// What a flat overlay needs beside its peers: one subnet for all hosts, which each container believes to have on
// its own link. The bridge answers ARP for addresses that are routed into the overlay, and an address of another host's
// block that lives here has a route of its own.
import { familyOf } from '#netlink/ip.ts'
import { planTargets } from './overlay-routes.ts'
import { carriedOut, type Outcome } from './overlay-sync.ts'
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
export const syncResidents = (host: Namespace, bridge: number, addresses: readonly string[]): Outcome =>
  carriedOut(host, planTargets(host, bridge, addresses.map(address => ({ dst: singleAddress(address) }))))
