// The networks of this host in its kernel: those over VXLAN one by one, encrypted ones together.
import type { Peer } from '#net/overlay-peer.ts'
import { WIREGUARD_DEVICE } from '#net/overlay-wireguard.ts'
import type { Outcome } from '#net/overlay-sync.ts'
import { Encryption } from './encryption.ts'
import { LocalNetwork, type Ground } from './local-network.ts'
import type { Share } from './memory.ts'
import type { OverlayShare, OverlayShares } from './overlay-shares.ts'
import { isEncrypted } from './network.ts'
import type { Settings } from './settings.ts'

export class LocalNetworks {
  readonly encryption: Encryption
  readonly #ground: Ground
  readonly #byName = new Map<string, LocalNetwork>()

  constructor(ground: Ground, { stateDirectory, wireguardPort }: Settings) {
    this.#ground = ground
    this.encryption = new Encryption(ground, `${stateDirectory}/wireguard.key`, wireguardPort)
  }

  /** A network by its name, which may be new here. */
  at(name: string): LocalNetwork {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const network = new LocalNetwork(name, this.#ground)
    this.#byName.set(name, network)
    return network
  }

  /** Those that are not encrypted. */
  get overVxlan(): readonly LocalNetwork[] {
    return [...this.#byName.values()].filter(({ device }) => device?.name !== WIREGUARD_DEVICE)
  }

  /** The devices of all networks. */
  get devices(): readonly { readonly index: number; readonly name: string }[] {
    return [...this.#byName.values()].flatMap(({ device }) => device ?? [])
  }

  /** Whether a link is the device of one. */
  has(index: number): boolean { return this.devices.some(device => device.index === index) }

  get troubles(): readonly string[] {
    return [...this.#byName.values()]
      .flatMap(({ name, troubles }) => troubles.map(text => `network ${name}: ${text}`))
  }

  forget(name: string): void { this.#byName.delete(name) }

  forgetOthers(shares: Readonly<Record<string, Share>>): void {
    for (const name of this.#byName.keys()) if (shares[name] === undefined) this.forget(name)
  }

  /**
   * Brings encrypted networks in step.
   * @param shares all of them
   * @param peersIn the other hosts of a network; without knowledge of them the device alone is seen to
   * @throws Error that says what is in the way
   */
  syncEncrypted(shares: OverlayShares, peersIn?: (network: string) => readonly Peer[]): Outcome {
    if (peersIn === undefined) {
      for (const [name, device] of this.encryption.prepare(shares)) this.at(name).place(device, [])
      return { added: 0, removed: 0, refused: [] }
    }
    const { devices, ...outcome } = this.encryption.sync(shares, peersIn)
    for (const [name, device] of devices) this.at(name).place(device, this.encryption.troublesOf(name))
    return outcome
  }

  /** Follows hosts of a network that have changed. @returns undefined when everything has to be looked at */
  change(name: string, share: OverlayShare, before: readonly Peer[], after: readonly Peer[]): Outcome | undefined {
    const network = this.at(name)
    if (!isEncrypted(share.config)) return network.change(share, before, after)
    const outcome = this.encryption.change(name, before, after)
    network.place(network.device, this.encryption.troublesOf(name))
    return outcome
  }
}
