// This host as its agent sees it: what the store says of all hosts, what is this one's own, and the kernel and the
// files for the plugin, which follow from both. Nothing here waits for anything, and nothing here asks the store.
import { changeGuard, isGuarded } from '#net/overlay-guard.ts'
import type { Namespace } from '#net/namespace.ts'
import type { Peer } from '#net/overlay-peer.ts'
import { ChecksumOffload } from './checksum-offload.ts'
import { guardNetworks, sealNetworks } from './host-rules.ts'
import { LeaseRecords } from './lease-records.ts'
import type { Ground } from './local-network.ts'
import { LocalNetworks } from './local-networks.ts'
import type { Member } from './member.ts'
import { memoryFile, type Memory, type MemoryKeeper, type Share } from './memory.ts'
import { isEncrypted, type NetworkConfig, type OverlayConfig } from './network.ts'
import { configsIn, encryptedIn, isOverlay, overlaysIn, type OverlayShares } from './overlay-shares.ts'
import { Picture, type Changed } from './picture.ts'
import type { HostFacts } from './records.ts'
import { poolRun, RunFiles } from './run-files.ts'
import type { Settings } from './settings.ts'
import type { Entry, Event } from './store/store.ts'
import { factsOf, findUnderlay, tunnelMac, type Underlay } from './underlay.ts'

export class OverlayHost {
  readonly settings: Settings
  readonly host: Namespace
  readonly keeper: MemoryKeeper
  readonly picture: Picture
  readonly checksums: ChecksumOffload
  readonly files: RunFiles
  readonly counts = { synchronisations: 0, changes: 0, mended: 0, refused: 0, lastSync: 0 }
  readonly say: (line: string) => void
  #ground: Ground
  #networks: LocalNetworks
  #member: Member | undefined
  #drained: string | undefined
  /** Runs what changes the kernel: who listens to its announcements tells own doing from others' by it. */
  unheard: <T>(step: () => T) => T = step => step()

  /** @throws OverlayError when there is no underlay */
  constructor(settings: Settings, host: Namespace, say: (line: string) => void) {
    this.settings = settings
    this.host = host
    this.say = say
    this.keeper = memoryFile(`${settings.stateDirectory}/state.json`)
    this.picture = new Picture(settings.hostId)
    this.checksums = new ChecksumOffload(settings.checksumOffload)
    this.files = new RunFiles(settings)
    const [underlay, mac] = [findUnderlay(host, settings), tunnelMac(settings.hostId)]
    this.#ground = { host, underlay, mac, checksums: this.checksums }
    this.#networks = new LocalNetworks(this.#ground, settings)
  }

  /** The networks here as the kernel has them. */
  get networks(): LocalNetworks { return this.#networks }
  get underlay(): Underlay { return this.#ground.underlay }
  get member(): Member | undefined { return this.#member }
  get drained(): string | undefined { return this.#drained }

  /** What is this host's own, by network. */
  get shares(): Readonly<Record<string, Share>> { return this.#memory?.shares ?? {} }

  /** The cluster that this host belongs to; undefined before it has joined one. */
  get cluster(): string | undefined { return this.#memory?.cluster }

  /** What the other hosts are to know of this one. */
  get facts(): HostFacts {
    const isNeeded = Object.keys(this.#encrypted).length > 0
    return factsOf(this.underlay, this.settings, isNeeded ? this.#networks.encryption.publicKey : undefined)
  }

  records(network: string): LeaseRecords { return new LeaseRecords(this.settings.leases, network) }

  /** Whether this host can have a part in such a network. @throws OverlayError `unsupported` */
  approve(name: string, kind: Pick<NetworkConfig, 'encryption'>): void { this.#networks.encryption.approve(name, kind) }

  /**
   * After a start, before the store was asked: containers can be started from what is known to be this host's own.
   * Entries about other hosts that are in the kernel stay as they are.
   */
  restore(): void {
    this.#seal()
    this.#syncEncrypted()
    for (const [name, share] of Object.entries(this.shares)) {
      this.#attempt(name, () => {
        this.approve(name, share.config)
        if (isOverlay(share) && !isEncrypted(share.config)) this.#networks.at(name).prepare(share)
        this.write(name)
      })
    }
    if (this.#configs.length > 0 && !isGuarded(this.host)) this.#guard()
  }

  /** This host belongs to the cluster, from now on or again. */
  admit(member: Member): void {
    this.#member = member
    this.#drained = undefined
  }

  /** This host has to join again before it gets anything; what it has stays. */
  leaveCluster(): void { this.#member = undefined }

  /** This host was removed: it gives out no addresses, and the others take no packets of it. */
  drain(reason: string): void {
    this.#member = undefined
    this.#drained = reason
    this.syncAll()
  }

  /** All that the store holds. @param isTrusted see Picture.replace */
  see(entries: readonly Entry[], isTrusted = true): void {
    this.picture.replace(entries, isTrusted)
    this.syncAll()
  }

  /** What has happened in the store since. @returns the networks whose own keys have changed */
  follow(events: readonly Event[]): ReadonlySet<string> {
    const changed = this.picture.apply(events)
    this.counts.changes += events.length
    if (this.#drained === undefined) this.#followPeers(changed)
    return changed.networks
  }

  /** Brings kernel and files in step with everything that is known. @returns the number of entries changed */
  syncAll(): number {
    const start = performance.now()
    let changes = 0
    for (const [name, { config }] of Object.entries(this.shares)) if (!isEncrypted(config)) changes += this.sync(name)
    changes += this.#syncEncrypted()
    this.#networks.forgetOthers(this.shares)
    this.#guard()
    this.counts.synchronisations++
    this.counts.lastSync = performance.now() - start
    return changes
  }

  /** The same for one network; with `isNew` also what all networks have in common. */
  sync(name: string, isNew = false): number {
    const share = this.shares[name]
    if (share === undefined) return 0
    if (!isOverlay(share)) return this.#refresh(name)
    const changes = isEncrypted(share.config) ? this.#syncEncrypted() : this.#attempt(name, () => {
      this.approve(name, share.config)
      const local = this.#networks.at(name)
      if (this.#isPartial) {
        local.prepare(share)
        return local.add(share, this.#peersIn(name))
      }
      const { added, removed, refused } = local.sync(share, this.#peersIn(name))
      this.counts.refused += refused.length
      return added + removed
    }) ?? 0
    this.#refresh(name)
    if (isNew) this.#guard()
    return changes
  }

  /** Writes the file for the plugin. @param also an address that is about to be kept for another host */
  write(name: string, also: readonly string[] = []): void {
    const share = this.shares[name]
    if (share === undefined || this.#drained === undefined && this.records(name).areLost(share)) return
    const lent = [...this.records(name).guests, ...this.picture.guestsOf(name, share), ...also]
    const part = this.files.part(name, share, lent, this.#drained)
    this.files.write(isOverlay(share) ? this.#networks.at(name).runFile(share, part) : poolRun(share, part))
  }

  /** Whether the underlay has changed: then it has to be told to the others. @throws OverlayError when it has gone */
  lookAtUnderlay(): boolean {
    const now = findUnderlay(this.host, this.settings)
    const { vtep, mtu, index } = this.underlay
    if (now.vtep === vtep && now.mtu === mtu && now.index === index) return false
    this.say(`underlay: ${now.vtep}, MTU ${now.mtu} (was ${vtep}, ${mtu})`)
    this.#ground = { ...this.#ground, underlay: now }
    this.#networks = new LocalNetworks(this.#ground, this.settings)
    return true
  }

  /** Removes a network from this host. @param share what it was */
  remove(name: string, share: Share): void {
    this.files.withdraw(name)
    if (!isOverlay(share)) return
    this.#networks.at(name).remove(share)
    this.#networks.forget(name)
    this.#syncEncrypted()
    this.#guard()
  }

  #followPeers({ peers, vteps, isUnclear }: Changed): void {
    const shares = overlaysIn(this.shares)
    if (Object.keys(shares).length === 0) return
    // First who may send, so that nobody's first packet is lost.
    try {
      changeGuard(this.host, vteps.leaving, vteps.coming)
    } catch {
      this.#guard()
    }
    for (const { network, before, after } of peers) {
      const share = shares[network]
      if (share === undefined) continue
      const change = () => this.#networks.change(network, share, before, after)
      const done = isUnclear ? undefined : this.#attempt(network, change)
      if (done === undefined) this.sync(network)
    }
  }

  /** Hosts may be missing in the picture: nothing of theirs is taken away. */
  get #isPartial(): boolean { return !this.picture.isComplete && this.#drained === undefined }

  #guard(): void {
    this.#seal()
    if (this.#configs.length === 0) return
    const devices = this.#networks.devices.map(({ name }) => name)
    this.#attempt('all', () => guardNetworks(this.host, this.#configs, this.picture.vteps, devices, this.#isPartial))
  }

  #seal(): void { this.#attempt('all', () => sealNetworks(this.host, this.underlay, this.#configs)) }

  get #memory(): Memory | undefined { return this.#member?.memory ?? this.keeper.read() }
  get #configs(): readonly OverlayConfig[] { return configsIn(overlaysIn(this.shares)) }
  get #encrypted(): OverlayShares { return encryptedIn(this.shares) }

  /** Brings all encrypted networks in step, or, without knowledge of other hosts, their device alone. */
  #syncEncrypted(): number {
    const shares = this.#encrypted
    const names = Object.keys(shares)
    const peersIn = this.#isPartial ? undefined : (name: string) => this.#peersIn(name)
    const changes = this.#attempt(names.join(', ') || 'all', () => {
      const { added, removed, refused } = this.#networks.syncEncrypted(shares, peersIn)
      this.counts.refused += refused.length
      return added + removed
    })
    for (const name of names) this.#refresh(name)
    return changes ?? 0
  }

  /** The others take no packets of a host that was removed. */
  #peersIn(name: string): readonly Peer[] { return this.#drained === undefined ? this.picture.peersIn(name) : [] }

  /** Writes the file if that is possible now. @returns 0, the number of entries of the kernel that it changes */
  #refresh(name: string): number { return this.#attempt(name, () => this.write(name)) ?? 0 }

  /** One network that cannot be brought in step keeps none of the others from it. */
  #attempt<T>(name: string, step: () => T): T | undefined {
    try {
      return step()
    } catch (error) {
      this.counts.refused++
      this.say(`network ${name}: ${error instanceof Error ? error.message : String(error)}`)
      return undefined
    }
  }
}
