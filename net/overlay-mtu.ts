// How large a packet inside an overlay may be. Found from the ways to all the other hosts, because networks of 1450,
// 1500 and 9000 bytes are all common, and one that is off by a few loses the large packets only (moby#33133).
import { familyOf } from '#netlink/ip.ts'
import { waysTo } from '#netlink/route/lookup.ts'
import type { Namespace } from './namespace.ts'

/** Bytes that go around a packet: outer IP, UDP, VXLAN and the inner Ethernet header; or WireGuard's of its data. */
export const overheads = {
  vxlan: { ipv4: 50, ipv6: 70 },
  wireguard: { ipv4: 60, ipv6: 80 },
} as const

export type Encapsulation = keyof typeof overheads

/** What fits through an overlay. */
export interface Fit {
  /** The largest packet inside. */
  readonly mtu: number
  /** The tunnel end that decides, undefined where there is none to be reached. */
  readonly narrowest: string | undefined
  /** Tunnel ends to which this host has no way at present. */
  readonly unreachable: readonly string[]
}

const COMMON_MTU = 1500 // of Ethernet, where nothing is known yet
const LARGEST_MTU = 65535

/** The MTU of the link that a host's own tunnel end is on; that of a loopback says nothing. */
const ownMtu = (host: Namespace, vtep: string): number => {
  const found = host.addr.list().find(({ address }) => address.split('/')[0] === vtep)
  const link = found && host.link.at(found.index)
  return link === undefined || link.loopback ? COMMON_MTU : link.mtu
}

/**
 * The MTU of an overlay: the least among the ways to all tunnel ends, less what goes around a packet. Changes with the
 * underlay, so ask again when links or routes have changed.
 * @param own this host's tunnel end, which decides as long as no other can be reached
 * @param others the tunnel ends of the other hosts, of either family
 */
export const overlayMtu = (
  host: Namespace, own: string, others: readonly string[], encapsulation: Encapsulation = 'vxlan',
): Fit => {
  const overhead = overheads[encapsulation]
  const unreachable: string[] = []
  let mtu = LARGEST_MTU
  let narrowest: string | undefined
  const links = new Map(host.link.list().map(link => [link.index, link.mtu]))
  waysTo(host.rtnetlink, others).forEach((way, i) => {
    const vtep = others[i]!
    if (way === undefined) {
      unreachable.push(vtep)
      return
    }
    const fits = Math.min(way.mtu ?? LARGEST_MTU, links.get(way.dev) ?? LARGEST_MTU) - overhead[familyOf(vtep)]
    if (fits >= mtu) return
    mtu = fits
    narrowest = vtep
  })
  return { mtu: narrowest === undefined ? ownMtu(host, own) - overhead[familyOf(own)] : mtu, narrowest, unreachable }
}
