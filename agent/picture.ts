// The store's content as the agent needs it: who the other hosts are, and what is behind each of them. What it takes to
// hear of one change does not grow with the number of hosts.
import type { Peer } from '#net/overlay-peer.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import { hostView, type HostView } from './host-facts.ts'
import { alive, clusterKey, hosts, isKeyOfBlock, isKeyOfStatic, readNetKey, settledKey } from './layout.ts'
import type { Share } from './memory.ts'
import { readConfig } from './network.ts'
import { NetworkPicture, type Claim } from './network-picture.ts'
import { recordOf, type BlockRecord, type StaticRecord } from './records.ts'
import type { ClusterState } from './cluster.ts'
import type { Entry, Event } from './store/store.ts'

/** How the hosts of one network have changed. */
export interface Change { readonly network: string; readonly before: readonly Peer[]; readonly after: readonly Peer[] }

/** What has changed: peers by network, tunnel ends of any host, and the networks whose own keys were written. */
export interface Changed {
  readonly peers: readonly Change[]
  readonly vteps: { readonly leaving: readonly string[]; readonly coming: readonly string[] }
  readonly networks: ReadonlySet<string>
  /** Two hosts are, or were, at one tunnel end: what is known of it is to be looked at as a whole. */
  readonly isUnclear: boolean
}

/** A key is one owner's; a value that says something else than its key could be another's, too. */
const claimIn = (network: string, part: 'blocks' | 'static', entry: Entry): Claim | undefined => {
  if (part === 'blocks') {
    const { host, block } = recordOf<BlockRecord>(entry)
    return typeof host === 'string' && isKeyOfBlock(entry.key, network, block) ? { host, prefix: block } : undefined
  }
  const { host, ip, granted } = recordOf<StaticRecord>(entry)
  if (typeof host !== 'string' || granted !== true || !isKeyOfStatic(entry.key, network, ip)) return undefined
  return { host, prefix: `${ip}/${familyOf(ip) === 'ipv4' ? 32 : 128}` }
}

/** Peers before and after, by network and host: the first look at each is kept. */
class Ledger {
  readonly #before = new Map<string, Map<string, Peer | undefined>>()
  readonly #peer: (network: string, host: string) => Peer | undefined
  constructor(peer: (network: string, host: string) => Peer | undefined) { this.#peer = peer }

  touch(network: string, host: string | undefined): void {
    if (host === undefined) return
    const known = this.#before.get(network) ?? new Map<string, Peer | undefined>()
    if (!known.has(host)) known.set(host, this.#peer(network, host))
    this.#before.set(network, known)
  }

  changes(): Change[] {
    const present = (peers: readonly (Peer | undefined)[]): Peer[] => peers.filter(peer => peer !== undefined)
    return [...this.#before].map(([network, hosts]) => ({
      network, before: present([...hosts.values()]),
      after: present([...hosts.keys()].map(host => this.#peer(network, host))),
    }))
  }
}

export class Picture {
  readonly networks = new Map<string, NetworkPicture>()
  readonly alive = new Set<string>()
  /** Those of them that have an agent to be asked: the sign of life of a host without one has no lease. */
  readonly attended = new Set<string>()
  readonly #hosts = new Map<string, HostView>()
  /** How many of the other hosts are at a tunnel end. */
  readonly #ends = new Map<string, number>()
  readonly #values = new Map<string, string>()
  /** What was known before the store has lost something, and has not come back. */
  readonly #doubtful = new Set<string>()
  readonly #known = new Set<string>()
  #isComplete = false
  readonly #self: string

  /** @param self the host that looks: it is none of its own peers */
  constructor(self: string) { this.#self = self }

  get cluster(): ClusterState | undefined {
    const id = this.#values.get(clusterKey)
    return id === undefined ? undefined : { id, settled: this.#values.get(settledKey) === id }
  }

  get hostCount(): number { return this.#hosts.size }

  /**
   * Everything anew.
   * @param isTrusted whether what is missing has gone: a store that was wiped or restored knows less than the hosts,
   * who come back with what is theirs
   */
  replace(entries: readonly Entry[], isTrusted: boolean): void {
    const present = new Set(this.#known.size > 0 ? entries.map(({ key }) => key) : [])
    for (const key of this.#known) {
      if (present.has(key)) continue
      if (isTrusted || alive.id(key) !== undefined) this.#put(key, undefined)
      else this.#doubtful.add(key)
    }
    for (const entry of entries) this.#put(entry.key, entry)
    this.#isComplete ||= isTrusted
  }

  /** Whether something is kept that the store does not have. */
  get isDoubtful(): boolean { return !this.#isComplete || this.#doubtful.size > 0 }

  /** Whether what is missing has gone; before that the kernel may know of hosts that this does not. */
  get isComplete(): boolean { return this.#isComplete }

  /** Everybody has had the time to come back: what is doubtful has gone. */
  dropDoubtful(): void {
    this.#isComplete = true
    for (const key of [...this.#doubtful]) this.#put(key, undefined)
  }

  /** What has happened since. */
  apply(events: readonly Event[]): Changed {
    const ledger = new Ledger((network, host) => this.peer(network, host))
    const networks = new Set<string>()
    const vteps = new Map<string, string | undefined>()
    for (const event of events) {
      const key = event.kind === 'put' ? event.entry.key : event.key
      const entry = event.kind === 'put' ? event.entry : undefined
      const host = hosts.id(key)
      if (host !== undefined) {
        if (!vteps.has(host)) vteps.set(host, this.vtepOf(host))
        for (const [name, network] of this.networks) if (network.prefixesOf(host).length > 0) ledger.touch(name, host)
      }
      const read = readNetKey(key)
      if (read) {
        networks.add(read.network)
        ledger.touch(read.network, this.networks.get(read.network)?.ownerOf(key))
        if (entry && read.part !== 'config') ledger.touch(read.network, claimIn(read.network, read.part, entry)?.host)
      }
      this.#put(key, entry)
    }
    const coming = [...vteps.keys()].flatMap(host => this.vtepOf(host) ?? [])
    const gone = [...vteps.values()].filter(vtep => vtep !== undefined && !coming.includes(vtep)) as string[]
    const present = new Set(gone.length > 0 ? this.vteps : [])
    const leaving = gone.filter(vtep => !present.has(vtep))
    const isUnclear = leaving.length < gone.length || coming.some(vtep => this.#isShared(vtep))
    return { peers: ledger.changes(), networks, vteps: { leaving, coming }, isUnclear }
  }

  /** Addresses of this host's blocks of a network that containers of other hosts have. */
  guestsOf(network: string, share: Pick<Share, 'config' | 'blocks'>): readonly string[] {
    return this.networks.get(network)?.guestsOf(this.#self, share) ?? []
  }

  /** Whether a host is one of the cluster. */
  has(host: string): boolean { return this.#hosts.has(host) }

  /** What a host signs with, as far as the others know. */
  tokenOf(host: string): string | undefined { return this.#hosts.get(host)?.token || undefined }

  /** @param family of the underlay; undefined: whichever there is */
  vtepOf(host: string, family?: Family): string | undefined {
    if (host === this.#self) return undefined
    const { vtep4, vtep6 } = this.#hosts.get(host) ?? {}
    return family === 'ipv4' ? vtep4 : family === 'ipv6' ? vtep6 : vtep4 ?? vtep6
  }

  /** The tunnel ends of all other hosts. */
  get vteps(): string[] { return [...this.#hosts.keys()].flatMap(host => this.vtepOf(host) ?? []) }

  /** A host as the others reach it, undefined for one that has no part in the network, and for ourselves. */
  peer(network: string, host: string): Peer | undefined {
    const vtep = this.vtepOf(host)
    const prefixes = this.networks.get(network)?.prefixesOf(host) ?? []
    const { mac, wireguard } = this.#hosts.get(host) ?? {}
    return vtep === undefined || mac === undefined || prefixes.length === 0
      ? undefined : { vtep, mac, prefixes, ...wireguard && { wireguard } }
  }

  /** Of two at one address the one that gives signs of life comes last and counts: a machine that was set up anew. */
  peersIn(network: string): Peer[] {
    const all = [...this.networks.get(network)?.hosts ?? []]
    const isLast = (host: string): boolean => this.#isShared(this.vtepOf(host)) && this.alive.has(host)
    const hasShared = this.#ends.values().some(count => count > 1)
    const ordered = hasShared ? [...all.filter(host => !isLast(host)), ...all.filter(isLast)] : all
    return ordered.flatMap(host => this.peer(network, host) ?? [])
  }

  #put(key: string, entry: Entry | undefined): void {
    this.#doubtful.delete(key)
    if (entry === undefined) this.#known.delete(key)
    else this.#known.add(key)
    const host = hosts.id(key)
    const living = host === undefined ? alive.id(key) : undefined
    const read = host === undefined && living === undefined ? readNetKey(key) : undefined
    if (host !== undefined) {
      this.#count(host, -1)
      if (entry === undefined) this.#hosts.delete(host)
      else {
        this.#hosts.set(host, hostView(entry))
        this.#count(host, 1)
      }
    } else if (living !== undefined) {
      if (entry === undefined) this.alive.delete(living)
      else this.alive.add(living)
      if (entry?.lease === undefined) this.attended.delete(living)
      else this.attended.add(living)
    } else if (read !== undefined) {
      this.#putInNetwork(read.network, read.part, key, entry)
    } else if (key === clusterKey || key === settledKey) {
      if (entry === undefined) this.#values.delete(key)
      else this.#values.set(key, entry.value)
    }
  }

  #isShared(vtep = ''): boolean { return (this.#ends.get(vtep) ?? 0) > 1 }

  #count(host: string, step: number): void {
    const vtep = this.vtepOf(host)
    if (vtep === undefined) return
    const count = (this.#ends.get(vtep) ?? 0) + step
    if (count > 0) this.#ends.set(vtep, count)
    else this.#ends.delete(vtep)
  }

  #putInNetwork(name: string, part: 'config' | 'blocks' | 'static', key: string, entry: Entry | undefined): void {
    const network = this.networks.get(name) ?? new NetworkPicture()
    this.networks.set(name, network)
    if (part === 'config') {
      network.config = entry && readConfig(entry)
      return
    }
    network.note(key, entry && claimIn(name, part, entry))
    if (part !== 'static') return
    if (entry === undefined) network.statics.delete(key)
    else network.statics.set(key, recordOf<StaticRecord>(entry) as StaticRecord)
  }
}
