// The other hosts of an overlay, as entries of this host's kernel. Per host, not per container: one forwarding entry,
// one neighbour for each family of gateways, and a route for each of its prefixes. Frames go where the forwarding entry
// says, so nothing is flooded and nothing is learnt.
import { parseMac } from '#netlink/mac.ts'
import { familyOf, formatIp } from '#netlink/ip.ts'
import type { OwnedRoute } from '#netlink/route/owned-route.ts'

/** Another host. Addresses, hardware address and prefixes in canonical text. */
export interface Peer {
  /** Its tunnel end, an address of the underlay. */
  readonly vtep: string
  /** The hardware address of its VXLAN device. */
  readonly mac: string
  /** What is behind it: the blocks that it owns, and single addresses of other hosts' blocks (`10.1.2.3/32`). */
  readonly prefixes: readonly string[]
  /** Its public key and UDP port, which encrypted networks need: without they do not reach it. */
  readonly wireguard?: { readonly key: string; readonly port: number } | undefined
  /** It is known to be dead: those who send to it get an error instead of silence. */
  readonly unreachable?: boolean | undefined
}

/** What the kernel holds, or should hold, about peers. Keys are what the kernel tells entries apart by. */
export interface Entries {
  /** Hardware address by gateway. */
  readonly neighbours: ReadonlyMap<string, string>
  /** Tunnel ends by hardware address; more than one only where somebody else has added to them. */
  readonly forwarding: ReadonlyMap<string, readonly string[]>
  /** By destination and metric, as `routeKey` joins them. */
  readonly routes: ReadonlyMap<string, OwnedRoute>
  /** Destinations that are answered with an error. */
  readonly unreachable: ReadonlySet<string>
}

/** What the kernel tells routes of one table apart by. */
export const routeKey = ({ dst, priority = 0 }: OwnedRoute): string => `${dst} metric ${priority}`

const METRICS = 1023

/**
 * The metric of the route to a prefix, 1 to 1023. The kernel finds equal next hops of IPv4 by a hash that leaves the
 * gateway out (fib_info_hashfn_result of net/ipv4/fib_semantics.c): with one metric for all, each of thousands of
 * routes over one device would be compared with all the others. Derived from the prefix, so that one which moves to
 * another host keeps its metric, and the new route takes the place of the old one in one step.
 */
export const metricOf = (prefix: string): number => {
  let hash = 0
  for (let i = 0; i < prefix.length; i++) hash = Math.imul(hash, 31) + prefix.charCodeAt(i) >>> 0
  return 1 + hash % METRICS
}

const FLIP_UNIVERSAL = 2

/** The link-local address that belongs to a hardware address: RFC 4291, appendix A. */
export const linkLocalOf = (mac: string): string => {
  const bytes = parseMac(mac)
  if (bytes?.length !== 6) throw new RangeError(`${mac} is no Ethernet address`)
  const [first = 0, second = 0, third = 0, ...rest] = bytes
  return formatIp(Uint8Array.of(
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, first ^ FLIP_UNIVERSAL, second, third, 0xff, 0xfe, ...rest))
}

/**
 * The gateway for a prefix, which only stands for the hardware address: the tunnel end where both are IPv4, so that
 * such an overlay does without IPv6, otherwise a link-local address. Neither depends on what prefixes there are.
 */
const gatewayTo = ({ vtep, mac }: Peer, prefix: string): string =>
  familyOf(vtep) === 'ipv4' && familyOf(prefix) === 'ipv4' ? vtep : linkLocalOf(mac)

/**
 * What the kernel should hold. Of two peers that claim the same, the later one counts.
 * @param dev index of the VXLAN device
 * @throws RangeError for a hardware address that is none
 */
export const entriesFor = (peers: readonly Peer[], dev: number): Entries => {
  const neighbours = new Map<string, string>()
  const forwarding = new Map<string, readonly string[]>()
  const routes = new Map<string, OwnedRoute>()
  const unreachable = new Set<string>()
  for (const peer of peers) {
    forwarding.set(peer.mac, [peer.vtep])
    for (const dst of peer.prefixes) {
      const via = gatewayTo(peer, dst)
      const route = { dst, dev, via, priority: metricOf(dst) }
      neighbours.set(via, peer.mac)
      if (peer.unreachable) {
        unreachable.add(dst)
        routes.delete(routeKey(route))
      } else {
        routes.set(routeKey(route), route)
        unreachable.delete(dst)
      }
    }
  }
  return { neighbours, forwarding, routes, unreachable }
}
