// One overlay network on one host: what the agent asks for again and again, and what is in place already is left alone.
// The same call sets up, follows changes and mends: a deleted device, flushed entries, an underlay of another MTU.
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import type { Namespace } from './namespace.ts'
import { overlayMtu, type Fit } from './overlay-mtu.ts'
import type { Peer } from './overlay-peer.ts'
import { removeUnreachable, syncPeers, type Outcome } from './overlay-sync.ts'
import { ensureTunnel, removeTunnel, type TunnelSpec } from './overlay-tunnel.ts'

/** What an overlay is to be on this host; see `TunnelSpec`. */
export interface Overlay extends Omit<TunnelSpec, 'mtu' | 'ipv6'> {
  /** The largest packet inside; found from the ways to the peers unless stated. */
  readonly mtu?: number | undefined
  /** There are IPv6 prefixes in it. */
  readonly ipv6: boolean
}

/** How it is now. */
export interface OverlayState extends Outcome, Fit { readonly link: Link }

const LEAST_IPV6_MTU = 1280 // RFC 8200, section 5; below it the kernel takes IPv6 off the link

/** @param needsIpv6 whether IPv6 goes over the device @throws Error naming the tunnel end whose way is too narrow */
export const refuseNarrow = (
  { network, vtep }: Pick<Overlay, 'network' | 'vtep'>, { mtu, narrowest = vtep }: Fit, needsIpv6: boolean,
): void => {
  if (mtu >= LEAST_IPV6_MTU || !needsIpv6) return
  throw new Error(
    `network ${network}: packets of ${mtu} bytes fit the way to ${narrowest}, but IPv6 needs ${LEAST_IPV6_MTU}: ` +
    'raise the MTU of the underlay, or use IPv4 inside and below',
  )
}

/**
 * Makes sure of the device and of everything about the peers.
 * @param peers the other hosts of the network, all of them
 * @returns what was changed; `refused` names entries that somebody else is in the way of
 * @throws Error when the VNI is somebody else's or the underlay too narrow, NetlinkError
 */
export const ensureOverlay = (host: Namespace, overlay: Overlay, peers: readonly Peer[]): OverlayState => {
  const { vni, vtep } = overlay
  const found = overlayMtu(host, vtep, peers.map(peer => peer.vtep))
  const fit = { ...found, mtu: overlay.mtu ?? found.mtu }
  const ipv6 = overlay.ipv6 || familyOf(vtep) === 'ipv6'
  refuseNarrow(overlay, fit, ipv6)
  const link = ensureTunnel(host, { ...overlay, ipv6, mtu: fit.mtu })
  return { ...fit, link, ...syncPeers(host, { index: link.index, vni }, peers) }
}

/** Removes all of an overlay from this host; fine when there is nothing. */
export const removeOverlay = (host: Namespace, { vni, port }: Pick<Overlay, 'vni' | 'port'>): void => {
  removeTunnel(host, vni, port)
  removeUnreachable(host, vni)
}
