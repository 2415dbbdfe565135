// Brings the kernel in step with the hosts of encrypted overlays: peers of the WireGuard device, and the routes that
// lead to it. A prefix without a peer has no route either: packets for it are refused, and leave in no other way.
import type { NetlinkError } from '#netlink/error.ts'
import type { Endpoint, Wireguard, WireguardPeer, WireguardPeerInfo } from '#netlink/wireguard.ts'
import type { Namespace } from './namespace.ts'
import { planRoutes, planTargets, routesOver, type RouteMap, type Target } from './overlay-routes.ts'
import { carriedOut, type Outcome, type Plan } from './overlay-sync.ts'

/** Another host: its public key, where it listens, and what is behind it in all encrypted networks. */
export interface EncryptedPeer {
  readonly key: string
  readonly endpoint: Endpoint
  readonly targets: readonly Target[]
}

/** The device by its index, and the handle to its settings. */
export interface WireguardLink { readonly index: number; readonly wg: Wireguard }

/** A session ends by then (REJECT_AFTER_TIME of the WireGuard paper, in seconds): what it has learnt is out of date. */
const SESSION_LIFE = 180

/**
 * WireGuard answers to where a host's last authentic packet came from, which finds hosts behind NAT. What it has learnt
 * so is left to it for as long as the session lives.
 */
const isLost = ({ endpoint, lastHandshake }: WireguardPeerInfo, wanted: Endpoint): boolean => {
  const isThere = endpoint?.address === wanted.address && endpoint.port === wanted.port
  return !isThere && (endpoint === undefined || Date.now() / 1000 - lastHandshake > SESSION_LIFE)
}

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && new Set(one).isSubsetOf(new Set(other))

/** Peers by key with the prefixes that they are to have: of two that claim the same, the later one counts. */
const wantedPeers = (peers: readonly EncryptedPeer[]): ReadonlyMap<string, WireguardPeer & { endpoint: Endpoint }> => {
  const owners = new Map(peers.flatMap(({ key, targets }) => targets.map(({ dst }) => [dst, key] as const)))
  return new Map(peers.map(({ key, endpoint, targets }) => [key, {
    publicKey: key, endpoint, allowedIps: targets.map(({ dst }) => dst).filter(dst => owners.get(dst) === key),
  }]))
}

/** New peers before the routes to them, old ones after. */
const carryOut = (
  host: Namespace, { index, wg }: WireguardLink, setting: readonly WireguardPeer[], routes: Plan,
  removing: readonly string[],
): Outcome => {
  const unset: NetlinkError[] = wg.setPeers(index, setting)
  const { added, removed, refused } = carriedOut(host, routes)
  const kept = wg.removePeers(index, removing)
  return {
    added: added + setting.length - unset.length, removed: removed + removing.length - kept.length,
    refused: [...unset, ...refused, ...kept],
  }
}

/**
 * Makes the kernel hold exactly these peers, and routes of ours to them, by comparison with what it holds.
 * @param peers all other hosts of all encrypted networks
 * @throws NetlinkError when the kernel cannot be asked
 */
export const syncEncrypted = (host: Namespace, link: WireguardLink, peers: readonly EncryptedPeer[]): Outcome => {
  const now = new Map(link.wg.show(link.index).peers.map(peer => [peer.publicKey, peer]))
  const wanted = wantedPeers(peers)
  const setting = [...wanted.values()].flatMap(({ publicKey, endpoint, allowedIps }): WireguardPeer[] => {
    const known = now.get(publicKey)
    const isMoved = known === undefined || isLost(known, endpoint)
    if (!isMoved && isSame(known.allowedIps, allowedIps)) return []
    return [{ publicKey, allowedIps, endpoint: isMoved ? endpoint : undefined }]
  })
  const routes = planTargets(host, link.index, peers.flatMap(({ targets }) => targets))
  return carryOut(host, link, setting, routes, [...now.keys()].filter(key => !wanted.has(key)))
}

/**
 * The same for hosts that have changed, without asking the kernel. When something is refused, `syncEncrypted` is due.
 * @param before how they were, with all that was behind them; empty for new ones
 * @param after how they are
 */
export const changeEncrypted = (
  host: Namespace, link: WireguardLink, before: readonly EncryptedPeer[], after: readonly EncryptedPeer[],
): Outcome => {
  const [was, is] = [before, after].map(wantedPeers) as [ReturnType<typeof wantedPeers>, ReturnType<typeof wantedPeers>]
  const setting = [...is.values()].flatMap((peer): WireguardPeer[] => {
    const known = was.get(peer.publicKey)
    const { endpoint: { address, port } } = peer
    const isMoved = known?.endpoint.address !== address || known.endpoint.port !== port
    if (known !== undefined && !isMoved && isSame(known.allowedIps, peer.allowedIps)) return []
    return [isMoved ? peer : { ...peer, endpoint: undefined }]
  })
  const [old, fresh] = [before, after]
    .map(peers => routesOver(link.index, peers.flatMap(({ targets }) => targets))) as [RouteMap, RouteMap]
  const routes = planRoutes(host, old, fresh, new Set())
  return carryOut(host, link, setting, routes, [...was.keys()].filter(key => !is.has(key)))
}
