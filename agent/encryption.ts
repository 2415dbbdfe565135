// Encrypted networks on this host. They share one device, on which another host is one peer, whatever networks it has
// a part in; so they are brought in step together.
import { ensureFence } from '#net/overlay-fence.ts'
import { overlayMtu, type Fit } from '#net/overlay-mtu.ts'
import type { Peer } from '#net/overlay-peer.ts'
import type { Outcome } from '#net/overlay-sync.ts'
import {
  ensureWireguard, findWireguard, removeWireguard, WIREGUARD_DEVICE,
} from '#net/overlay-wireguard.ts'
import { changeEncrypted, syncEncrypted, type EncryptedPeer } from '#net/overlay-wireguard-sync.ts'
import { refuseNarrow } from '#net/overlay.ts'
import type { Link } from '#netlink/route/link.ts'
import type { Wireguard } from '#netlink/wireguard.ts'
import { familyOf } from '#netlink/ip.ts'
import { credible, type Credible } from './credible-peers.ts'
import { ownAddresses, type Device, type Ground } from './local-network.ts'
import type { OverlayShare, OverlayShares } from './overlay-shares.ts'
import { encryptions, isEncrypted, type NetworkConfig } from './network.ts'
import { OverlayError } from './overlay-error.ts'
import { keepKey, publicKeyOf } from './wireguard-key.ts'

/** One network: what is this host's of it, and what is known of the others, by key and tunnel end. */
interface Part { readonly share: OverlayShare; readonly peers: Map<string, Peer>; readonly doubts: readonly string[] }

const idOf = ({ wireguard, vtep }: Peer): string => `${wireguard?.key} ${vtep}`

const byId = (peers: readonly Peer[]): Map<string, Peer> => new Map(peers.map(peer => [idOf(peer), peer]))

const hasIpv6 = ({ config }: OverlayShare): boolean => config.ranges.some(({ subnet }) => familyOf(subnet) === 'ipv6')

const unsupported = (message: string, advice: string): OverlayError => new OverlayError('unsupported', message, advice)

export class Encryption {
  readonly #ground: Ground
  readonly #keyFile: string
  readonly #port: number
  #parts = new Map<string, Part>()
  #key: { readonly secret: string; readonly shown: string } | undefined
  /** What changes are made to, once everything has been brought in step. */
  #link: { readonly index: number; readonly wg: Wireguard } | undefined
  /** What was wrong then, with the device as a whole and with the ways to tunnel ends. */
  #refused: readonly string[] = []
  #unreachable: readonly string[] = []

  /** @param keyFile where the private key is, or will be */
  constructor(ground: Ground, keyFile: string, port: number) {
    this.#ground = ground
    this.#keyFile = keyFile
    this.#port = port
  }

  /**
   * Whether this host can have a part in a network, as far as encryption goes.
   * @throws OverlayError `unsupported`
   */
  approve(network: string, { encryption = 'none' }: Pick<NetworkConfig, 'encryption'>): void {
    if (!encryptions.includes(encryption))
      throw unsupported(`encryption ${JSON.stringify(encryption)} of network ${network} is unknown`, 'update the agent')
    if (isEncrypted({ encryption })) this.#wireguard(network)
  }

  /** The public key, undefined when this host cannot encrypt. @throws OverlayError when the key is not to be had */
  get publicKey(): string | undefined {
    return findWireguard(this.#ground.host) === undefined ? undefined : this.#keys.shown
  }

  /** Sees to the device alone: for as long as nobody knows what the peers are, those that are there stay. */
  prepare(shares: OverlayShares): ReadonlyMap<string, Device> {
    const { host, underlay } = this.#ground
    this.#fence(shares)
    if (Object.keys(shares).length === 0) return new Map()
    const mtu = host.link.find(WIREGUARD_DEVICE)?.mtu ?? overlayMtu(host, underlay.vtep, [], 'wireguard').mtu
    const { link } = this.#ensure(shares, { mtu, narrowest: undefined, unreachable: [] })
    return devicesOf(shares, link, mtu)
  }

  /**
   * Brings everything in the kernel in step.
   * @param shares all encrypted networks; without any the device is removed
   * @param peersIn the other hosts of a network
   * @returns what was changed, and the device as each network has it
   * @throws OverlayError, NetlinkError, Error that says what is in the way; packets are answered with an error then
   */
  sync(
    shares: OverlayShares, peersIn: (network: string) => readonly Peer[],
  ): Outcome & { readonly devices: ReadonlyMap<string, Device> } {
    const { host, underlay } = this.#ground
    this.#parts = new Map(Object.entries(shares).map(([name, share]) => {
      const { peers, doubts } = this.#credible(share, peersIn(name))
      return [name, { share, peers: byId(peers), doubts }]
    }))
    this.#link = undefined
    const fences = this.#fence(shares)
    if (this.#parts.size === 0) {
      removeWireguard(host)
      return { ...fences, devices: new Map() }
    }
    const vteps = new Set([...this.#parts.values()].flatMap(({ peers }) => [...peers.values()]).map(({ vtep }) => vtep))
    const fit = overlayMtu(host, underlay.vtep, [...vteps], 'wireguard')
    const { wg, link } = this.#ensure(shares, fit)
    this.#link = { index: link.index, wg }
    const { added, removed, refused } = syncEncrypted(host, this.#link, this.#united())
    this.#refused = [...refused, ...fences.refused].map(({ message }) => message)
    this.#unreachable = fit.unreachable
    return {
      added: added + fences.added, removed: removed + fences.removed, refused,
      devices: devicesOf(shares, link, fit.mtu),
    }
  }

  /** The same for the hosts of a network that have changed. @returns undefined when everything has to be looked at */
  change(network: string, before: readonly Peer[], after: readonly Peer[]): Outcome | undefined {
    const part = this.#parts.get(network)
    if (this.#link === undefined || part === undefined) return undefined
    // What people are told of, and are no longer told of, is found by looking at everything.
    if ([before, after].some(peers => this.#credible(part.share, peers).doubts.length > 0)) return undefined
    const concerned = new Set([...before, ...after].map(({ wireguard }) => wireguard?.key))
    const was = this.#united(concerned)
    for (const peer of before) part.peers.delete(idOf(peer))
    for (const peer of after) part.peers.set(idOf(peer), peer)
    const outcome = changeEncrypted(this.#ground.host, this.#link, was, this.#united(concerned))
    return outcome.refused.length > 0 ? undefined : outcome
  }

  /** What is wrong with a network, as far as is known. */
  troublesOf(network: string): readonly string[] {
    const peers = [...this.#parts.get(network)?.peers.values() ?? []]
    return [...this.#refused, ...this.#parts.get(network)?.doubts ?? [], ...peers.flatMap(({ vtep, wireguard }) => {
      if (wireguard === undefined) return [`${vtep} has published no key: packets for it are refused`]
      if (wireguard.key === this.#keys.shown) return [`${vtep} has the key of this host: packets for it are refused`]
      return this.#unreachable.includes(vtep) ? [`no way to ${vtep}`] : []
    })]
  }

  /** A prefix that is none of the network's would have its packets decrypted and let in. */
  #credible({ config: { ranges } }: OverlayShare, peers: readonly Peer[]): Credible {
    const { underlay: { vtep }, mac } = this.#ground
    return credible(peers, { vtep, mac, ranges })
  }

  get #keys(): { readonly secret: string; readonly shown: string } {
    if (this.#key === undefined) {
      const secret = keepKey(this.#keyFile)
      this.#key = { secret, shown: publicKeyOf(secret) }
    }
    return this.#key
  }

  /** @throws OverlayError `unsupported` */
  #wireguard(network: string): Wireguard {
    const found = findWireguard(this.#ground.host)
    if (found !== undefined) return found
    throw unsupported(`this kernel has no WireGuard, which encrypts network ${network}`,
      '`modprobe wireguard`; Linux has it since 5.6, or use a network without encryption')
  }

  /** Addresses of the networks that nobody is behind are answered with an error, with or without a device. */
  #fence(shares: OverlayShares): Outcome {
    const outcomes = Object.values(shares).map(({ config: { vni, ranges } }) =>
      ensureFence(this.#ground.host, vni, ranges.map(({ subnet }) => subnet)))
    const total = (part: 'added' | 'removed'): number => outcomes.reduce((sum, outcome) => sum + outcome[part], 0)
    return { added: total('added'), removed: total('removed'), refused: outcomes.flatMap(({ refused }) => refused) }
  }

  #ensure(shares: OverlayShares, fit: Fit): { readonly wg: Wireguard; readonly link: Link } {
    const { host, underlay: { vtep } } = this.#ground
    const wg = this.#wireguard(Object.keys(shares).join(', '))
    const all = Object.entries(shares)
    for (const [network, share] of all)
      refuseNarrow({ network, vtep }, { ...fit, mtu: share.config.mtu ?? fit.mtu }, hasIpv6(share))
    const link = ensureWireguard(host, wg, {
      privateKey: this.#keys.secret, port: this.#port,
      mtu: Math.max(...all.map(([, { config: { mtu = fit.mtu } }]) => mtu)),
      addresses: all.flatMap(([, share]) => ownAddresses(share)), ipv6: all.some(([, share]) => hasIpv6(share)),
    })
    return { wg, link }
  }

  /** The hosts that have a key, with what is behind them in all networks. @param only those of these keys */
  #united(only?: ReadonlySet<string | undefined>): EncryptedPeer[] {
    const targets = new Map<string, EncryptedPeer['targets'][number][]>()
    const endpoints = new Map<string, EncryptedPeer['endpoint']>()
    for (const { share, peers } of this.#parts.values()) {
      const sources = new Map(ownAddresses(share).map(address => [familyOf(address), address.split('/')[0]]))
      for (const { wireguard, vtep, prefixes } of peers.values()) {
        if (wireguard === undefined || wireguard.key === this.#keys.shown) continue
        if (only?.has(wireguard.key) === false) continue
        endpoints.set(wireguard.key, { address: vtep, port: wireguard.port })
        const known = targets.get(wireguard.key) ?? []
        known.push(...prefixes.map(dst => ({ dst, src: sources.get(familyOf(dst)) })))
        targets.set(wireguard.key, known)
      }
    }
    return [...endpoints].map(([key, endpoint]) => ({ key, endpoint, targets: targets.get(key)! }))
  }

}

/** One device, of which each network may use less than fits. */
const devicesOf = (
  shares: OverlayShares, { index, name }: Link, fitting: number,
): ReadonlyMap<string, Device> =>
  new Map(Object.entries(shares).map(([network, { config: { mtu = fitting } }]) => [network, { index, name, mtu }]))
