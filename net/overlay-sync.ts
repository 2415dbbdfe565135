// Brings the kernel in step with the peers of an overlay: only what differs is sent, thousands of changes in a few
// writes, and only what carries our protocol number, on our device, is ever changed or removed.
import type { NetlinkError } from '#netlink/error.ts'
import type { Request } from '#netlink/message.ts'
import { Neighbours } from '#netlink/route/neigh.ts'
import { OwnedRoutes, type OwnedRoute } from '#netlink/route/owned-route.ts'
import { entriesFor, routeKey, type Entries, type Peer } from './overlay-peer.ts'
import type { Namespace } from './namespace.ts'

/** Our number among RTPROT_* of include/uapi/linux/rtnetlink.h, of those that nobody has: `ip route show proto 203`. */
export const PROTOCOL = 203

/**
 * Unreachable routes have no device, so the metric says of which VNI they are. They lose against all others of ours, so
 * that a host which comes back is reachable before they have gone.
 */
const unreachableMetric = (vni: number): number => 2 ** 24 + vni

/** Where peers are reached: a VXLAN device by index, and its VNI. */
export interface Tunnel { readonly index: number; readonly vni: number }

/** What a change came to. */
export interface Outcome {
  /** Number of entries that were made or replaced, and of those that were removed. */
  readonly added: number
  readonly removed: number
  /** What the kernel has refused; the rest has been done. EEXIST: somebody else has a route there. */
  readonly refused: readonly NetlinkError[]
}

const append = <Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void => {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}

/** What the kernel holds of ours; `elsewhere` are our routes that lead to other devices than the tunnel's. */
const present = (host: Namespace, { index, vni }: Tunnel): Entries & { readonly elsewhere: ReadonlySet<string> } => {
  const neigh = new Neighbours(host.rtnetlink)
  const neighbours = new Map((['ipv4', 'ipv6'] as const).flatMap(family => neigh.list(index, family))
    .filter(({ protocol }) => protocol === PROTOCOL).map(({ address, mac }) => [address, mac]))
  const forwarding = new Map<string, string[]>()
  for (const { mac, dst, ours } of neigh.listForwarding(index)) if (ours) append(forwarding, mac, dst)
  const routes = new Map<string, OwnedRoute>()
  const unreachable = new Set<string>()
  const elsewhere = new Set<string>()
  for (const route of new OwnedRoutes(host.rtnetlink, PROTOCOL).list()) {
    if (route.dev === index) routes.set(routeKey(route), route)
    else if (route.dev !== undefined) elsewhere.add(routeKey(route))
    else if (route.priority === unreachableMetric(vni)) unreachable.add(route.dst)
  }
  return { neighbours, forwarding, routes, unreachable, elsewhere }
}

/** What is to be made, and then what is to go; each in order. */
export interface Plan { readonly adding: readonly Request[]; readonly removing: readonly Request[] }

/** New ones from the bottom up, old ones from the top down: a route never leads to what is not known. */
const planned = (
  host: Namespace, { index: dev, vni }: Tunnel, now: Entries, wanted: Entries, elsewhere: ReadonlySet<string>,
): Plan => {
  const neigh = new Neighbours(host.rtnetlink)
  const route = new OwnedRoutes(host.rtnetlink, PROTOCOL)
  const priority = unreachableMetric(vni)
  const neighbour = (address: string, mac: string) => ({ dev, address, mac, protocol: PROTOCOL })
  const adding: Request[] = []
  for (const [address, mac] of wanted.neighbours)
    if (now.neighbours.get(address) !== mac) adding.push(neigh.replacing(neighbour(address, mac)))
  for (const [mac, [dst = '']] of wanted.forwarding)
    if (!now.forwarding.get(mac)?.includes(dst)) adding.push(neigh.replacingForwarding({ dev, mac, dst }))
  for (const [key, to] of wanted.routes) {
    const known = now.routes.get(key)
    if (known?.via === to.via && known?.dev === to.dev) continue
    // Somebody else's route is not replaced.
    adding.push(known || elsewhere.has(key) ? route.replacing(to) : route.adding(to))
  }
  for (const dst of wanted.unreachable) if (!now.unreachable.has(dst)) adding.push(route.adding({ dst, priority }))

  const removing: Request[] = []
  for (const [key, to] of now.routes) if (!wanted.routes.has(key)) removing.push(route.deleting(to))
  for (const dst of now.unreachable)
    if (!wanted.unreachable.has(dst)) removing.push(route.deleting({ dst, priority }))
  for (const [mac, destinations] of now.forwarding)
    for (const dst of destinations)
      if (!wanted.forwarding.get(mac)?.includes(dst)) removing.push(neigh.deletingForwarding({ dev, mac, dst }))
  for (const [address, mac] of now.neighbours)
    if (!wanted.neighbours.has(address)) removing.push(neigh.deleting(neighbour(address, mac)))
  return { adding, removing }
}

/** Sends a plan. Nothing is thrown: one entry that is refused keeps none of the others from its place. */
export const carriedOut = (host: Namespace, { adding, removing }: Plan): Outcome => {
  const refused = host.rtnetlink.attemptAll(adding).map(({ error }) => error)
  // What has gone by itself in the meantime is as good as removed.
  const kept = host.rtnetlink.attemptAll(removing).map(({ error }) => error)
    .filter(({ code }) => !['ENOENT', 'ESRCH'].includes(code))
  return {
    added: adding.length - refused.length, removed: removing.length - kept.length, refused: [...refused, ...kept],
  }
}

/**
 * Makes the kernel hold exactly these peers, by comparison with what it holds: mends whatever has been flushed,
 * changed or left behind, and sends nothing when all is well.
 * @throws NetlinkError when the kernel cannot be asked
 */
export const syncPeers = (host: Namespace, tunnel: Tunnel, peers: readonly Peer[]): Outcome => {
  const { elsewhere, ...now } = present(host, tunnel)
  return carriedOut(host, planned(host, tunnel, now, entriesFor(peers, tunnel.index), elsewhere))
}

/** Makes sure of these peers, and leaves those alone that the kernel holds besides. @throws NetlinkError as above */
export const addPeers = (host: Namespace, tunnel: Tunnel, peers: readonly Peer[]): Outcome => {
  const { elsewhere, ...now } = present(host, tunnel)
  const { adding } = planned(host, tunnel, now, entriesFor(peers, tunnel.index), elsewhere)
  return carriedOut(host, { adding, removing: [] })
}

/**
 * The same for peers that have changed, without asking the kernel: what an event costs does not grow with the number
 * of peers. When something is refused, `syncPeers` is due.
 * @param before how they were, empty for new ones
 * @param after how they are, empty for those that are gone
 */
export const changePeers = (
  host: Namespace, tunnel: Tunnel, before: readonly Peer[], after: readonly Peer[],
): Outcome => {
  const [now, wanted] = [before, after].map(peers => entriesFor(peers, tunnel.index)) as [Entries, Entries]
  return carriedOut(host, planned(host, tunnel, now, wanted, new Set()))
}

/** Removes the unreachable routes of a VNI, which no device takes along; fine when there are none. */
export const removeUnreachable = (host: Namespace, vni: number): void => {
  const routes = new OwnedRoutes(host.rtnetlink, PROTOCOL)
  const removing = routes.listUnreachable().filter(({ priority }) => priority === unreachableMetric(vni))
    .map(route => routes.deleting(route))
  carriedOut(host, { adding: [], removing })
}
