// One network on this host: its device and entries in the kernel, and the file that says to the plugin what there is.
import type { OverlayRun } from '#cni/cluster/run-file.ts'
import { nthAddress, parsePrefix } from '#net/prefix.ts'
import { familyOf } from '#netlink/ip.ts'
import { ensureFence } from '#net/overlay-fence.ts'
import { overlayMtu } from '#net/overlay-mtu.ts'
import type { Peer } from '#net/overlay-peer.ts'
import { addPeers, changePeers, type Outcome } from '#net/overlay-sync.ts'
import { ensureTunnel, findTunnel } from '#net/overlay-tunnel.ts'
import { ensureOverlay, removeOverlay, type Overlay } from '#net/overlay.ts'
import type { Namespace } from '#net/namespace.ts'
import type { ChecksumOffload } from './checksum-offload.ts'
import { credible, type Credible } from './credible-peers.ts'
import type { OverlayShare } from './overlay-shares.ts'
import type { Part } from './run-files.ts'
import type { Underlay } from './underlay.ts'

/** What a network is made of on this host. */
export interface Ground {
  readonly host: Namespace
  readonly underlay: Underlay
  readonly mac: string
  readonly checksums: ChecksumOffload
}

const ownAddress = (block: string): string =>
  `${nthAddress(parsePrefix(block)!, 0)}/${familyOf(block) === 'ipv4' ? 32 : 128}`

/** What the host sends from itself: the first address of its first block of each family. */
export const ownAddresses = ({ blocks }: OverlayShare): readonly string[] =>
  (['ipv4', 'ipv6'] as const).flatMap(family => {
    const first = blocks.find(block => familyOf(block) === family)
    return first === undefined ? [] : [ownAddress(first)]
  })

/**
 * The device over which the other hosts are reached; `mtu` is of packets inside.
 * `address`: what the host sends from, of one family; undefined where it is not asked for.
 */
export interface Device {
  readonly index: number
  readonly name: string
  readonly mtu: number
  readonly address?: string | undefined
}

export class LocalNetwork {
  readonly name: string
  readonly #ground: Ground
  #device: Device | undefined
  /** What was refused or cannot be reached at the last look. */
  troubles: readonly string[] = []

  constructor(name: string, ground: Ground) {
    this.name = name
    this.#ground = ground
  }

  get device(): Device | undefined { return this.#device }

  /** The network shares a device with others, which was seen to: see encryption.ts. */
  place(device: Device | undefined, troubles: readonly string[]): void {
    this.#device = device
    this.troubles = troubles
  }

  /** Sees to the device alone: for as long as nobody knows what the peers are, those that are there stay. */
  prepare(share: OverlayShare): void {
    const { host, underlay } = this.#ground
    const overlay = this.#overlay(share)
    const found = findTunnel(host, overlay.vni, overlay.port)
    const mtu = found?.mtu ?? overlay.mtu ?? overlayMtu(host, underlay.vtep, []).mtu
    const ipv6 = overlay.ipv6 || familyOf(underlay.vtep) === 'ipv6'
    const { index, name } = ensureTunnel(host, { ...overlay, ipv6, mtu })
    ensureFence(host, overlay.vni, share.config.ranges.map(({ subnet }) => subnet))
    this.#settle(share, { index, name, mtu })
  }

  /** Brings everything in the kernel in step. @throws Error that says what is in the way */
  sync(share: OverlayShare, peers: readonly Peer[]): Outcome {
    const { host } = this.#ground
    const { ranges, vni } = share.config
    const known = this.#credible(share, peers)
    const state = ensureOverlay(host, this.#overlay(share), known.peers)
    const fence = ensureFence(host, vni, ranges.map(({ subnet }) => subnet))
    this.#settle(share, { ...state.link, mtu: state.mtu })
    this.troubles = [
      ...[...state.refused, ...fence.refused].map(error => error.message),
      ...state.unreachable.map(vtep => `no way to ${vtep}`),
      ...known.doubts,
    ]
    return { added: state.added + fence.added, removed: state.removed + fence.removed, refused: state.refused }
  }

  /** The same for peers that have changed. @returns undefined when everything has to be looked at */
  change(share: OverlayShare, before: readonly Peer[], after: readonly Peer[]): Outcome | undefined {
    const { host } = this.#ground
    if (this.#device === undefined) return undefined
    const tunnel = { index: this.#device.index, vni: share.config.vni }
    const [past, now] = [this.#credible(share, before), this.#credible(share, after)]
    // What people are told of, and are no longer told of, is found by looking at everything.
    if (past.doubts.length + now.doubts.length > 0) return undefined
    const outcome = changePeers(host, tunnel, past.peers, now.peers)
    return outcome.refused.length > 0 ? undefined : outcome
  }

  /** Makes sure of peers, and leaves those alone that are there besides. @returns the number of entries written */
  add(share: OverlayShare, peers: readonly Peer[]): number {
    const known = this.#credible(share, peers)
    const tunnel = { index: this.#device!.index, vni: share.config.vni }
    const { added, refused } = addPeers(this.#ground.host, tunnel, known.peers)
    this.troubles = [...refused.map(error => error.message), ...known.doubts]
    return added
  }

  /** The file for the plugin, once there is a device. */
  runFile(share: OverlayShare, part: Part): OverlayRun | undefined {
    if (this.#device === undefined) return undefined
    const { vni, port, addressing, internal = false, encryption = 'none', ranges } = share.config
    const { name: device, mtu } = this.#device
    return { vni, port, device, mtu, addressing, internal, encryption, ranges, ...part }
  }

  /** Removes it all from the kernel. */
  remove({ config }: OverlayShare): void {
    const { host } = this.#ground
    removeOverlay(host, config)
    ensureFence(host, config.vni, [])
    this.#device = undefined
  }

  #settle(share: OverlayShare, { index, name, mtu }: Omit<Device, 'address'>): void {
    this.#ground.checksums.settle(this.#ground.host, name)
    this.#device = { index, name, mtu, address: ownAddresses(share)[0]?.split('/')[0] }
  }

  #credible({ config: { ranges } }: OverlayShare, peers: readonly Peer[]): Credible {
    const { underlay: { vtep }, mac } = this.#ground
    return credible(peers, { vtep, mac, ranges })
  }

  #overlay({ config, blocks, ...rest }: OverlayShare): Overlay {
    const { vni, port, mtu, ranges } = config
    return {
      network: this.name, vni, port, vtep: this.#ground.underlay.vtep, mac: this.#ground.mac,
      addresses: ownAddresses({ config, blocks, ...rest }), mtu,
      ipv6: ranges.some(({ subnet }) => familyOf(subnet) === 'ipv6'),
    }
  }
}
