// Networks as the store knows them: made once, the same on all hosts, never changed in what addresses depend on.
import type { PoolRange, PoolRangeConfig } from '#cni/cluster/pool.ts'
import { isObject } from '#cni/json.ts'
import { familyOf } from '#netlink/ip.ts'
import {
  blocksPrefix, clusterKey, isNetworkName, networkKey, networksKey, readNetKey, root, staticsPrefix, vniKey,
} from './layout.ts'
import { invalid, planOf, requireRoom, type Plan } from './network-plan.ts'
import { NoNetwork, OverlayError } from './overlay-error.ts'
import type { Range } from './range.ts'
import { ownerOf, recordOf, written } from './records.ts'
import { get } from './store/lookup.ts'
import type { Entry, Store } from './store/store.ts'
import { absent, holding, put, remove, unchanged, type Condition, type Operation } from './store/transaction.ts'

export type Addressing = 'hostSubnet' | 'flat'

export const encryptions = ['none', 'wireguard'] as const

/** `vni` names the network on the wire, `port` is the UDP port of its packets. */
export interface OverlayConfig {
  readonly vni: number
  readonly port: number
  readonly addressing: Addressing
  /** One per family at most in mode hostSubnet. */
  readonly ranges: readonly Range[]
  readonly mtu?: number
  /** Of packets between hosts; `none` unless stated. WireGuard takes the place of VXLAN. */
  readonly encryption?: typeof encryptions[number]
  readonly internal?: boolean
  /** The network is being removed: nobody gets addresses of it any more. */
  readonly leaving?: boolean
}

/** Addresses alone: the network itself is there, and none of the agent's business. */
export interface PoolConfig {
  readonly addressing: 'pool'
  readonly ranges: readonly PoolRange[]
  readonly leaving?: boolean
  readonly mtu?: undefined
  readonly encryption?: undefined
  readonly internal?: undefined
}

export type NetworkConfig = OverlayConfig | PoolConfig

/** What a user says: the rest has defaults. */
export interface OverlayWish extends Partial<Omit<OverlayConfig, 'ranges'>> {
  readonly ranges: readonly { readonly subnet: string; readonly blockLength?: number }[]
}
export interface PoolWish extends Omit<PoolConfig, 'ranges'> { readonly ranges: readonly PoolRangeConfig[] }
export type NetworkWish = OverlayWish | PoolWish

const DEFAULT_PORT = 4789 // RFC 7348; the kernel's own default is another one
// What every host has to take: RFC 791, RFC 8200.
const LEAST_MTU = { ipv4: 576, ipv6: 1280 } as const
const [LOWEST_VNI, HIGHEST_VNI] = [4096, 2 ** 24 - 1]

const requireNumber = (key: string, value: unknown, least: number, most: number): void => {
  if (value === undefined || Number.isInteger(value) && Number(value) >= least && Number(value) <= most) return
  throw invalid(`${key} ${String(value)} is not from ${least} to ${most}`)
}

/** @throws OverlayError `invalid` */
const requireSound = (wish: NetworkWish): void => {
  if (wish.addressing === 'pool') return
  requireNumber('vni', wish.vni, 1, HIGHEST_VNI)
  requireNumber('port', wish.port, 1, 65535)
  const families = wish.ranges.map(({ subnet }) => familyOf(subnet))
  requireNumber('mtu', wish.mtu, Math.max(...families.map(family => LEAST_MTU[family])), 65535)
}

const vniFor = (wish: OverlayWish, isTaken: (vni: number) => boolean): number => {
  const { vni } = wish
  if (vni === undefined) {
    const count = HIGHEST_VNI - LOWEST_VNI + 1
    const first = Math.floor(Math.random() * count)
    for (let i = 0; i < count; i++) {
      const choice = LOWEST_VNI + (first + i) % count
      if (!isTaken(choice)) return choice
    }
    throw new OverlayError('exhausted', 'every VNI is taken')
  }
  return vni
}

const requireEncryption = (wish: NetworkWish): void => {
  if (wish.addressing === 'pool') return
  const { encryption = 'none', port } = wish
  if (!encryptions.includes(encryption))
    throw invalid(`encryption ${JSON.stringify(encryption)} is not known`, `one of ${encryptions.join(', ')}`)
  if (isEncrypted({ encryption }) && port !== undefined)
    throw invalid(`port ${port} with encryption ${encryption}: all encrypted networks of a host share one port`,
      'leave it out; it is the agent\'s wireguard-port')
}

/** The configuration of a network in the store, whatever is in it. */
export const configOf = (entry: Entry): NetworkConfig => recordOf<NetworkConfig>(entry) as NetworkConfig

/** The same with all that is to be in it, undefined when it is none that we could have written. */
export const readConfig = (entry: Entry): NetworkConfig | undefined => {
  const config = configOf(entry)
  const { ranges, addressing } = config
  const isRange = (range: unknown): boolean => isObject(range) && typeof range['subnet'] === 'string'
  if (!Array.isArray(ranges) || !ranges.every(isRange)) return undefined
  if (!['hostSubnet', 'flat', 'pool'].includes(addressing)) return undefined
  if (config.addressing !== 'pool' && (config.vni === undefined || config.port === undefined)) return undefined
  try {
    const plan = planOf(config)
    requireSound(config)
    return { ...config, ...plan } as NetworkConfig
  } catch {
    return undefined
  }
}

/** All networks of a listing by name. */
export const networksIn = (entries: readonly Entry[]): ReadonlyMap<string, Entry> =>
  new Map(entries.flatMap(entry => {
    const read = readNetKey(entry.key)
    return read?.part === 'config' && readConfig(entry) ? [[read.network, entry] as const] : []
  }))

interface Making {
  readonly config: NetworkConfig
  readonly conditions: readonly Condition[]
  readonly operations: readonly Operation[]
}

/** A network with what has to hold, and to be written, beside its configuration. */
const making = (name: string, wish: NetworkWish, plan: Plan, known: ReadonlyMap<string, Entry>): Making => {
  if (plan.addressing === 'pool' || wish.addressing === 'pool')
    return { config: plan as PoolConfig, conditions: [], operations: [] }
  const vni = vniFor(wish, choice => known.has(vniKey(choice)))
  const owner = known.get(vniKey(vni))
  if (owner !== undefined)
    throw new OverlayError('taken', `vni ${vni} is network ${owner.value}'s`, 'choose another one')
  return {
    config: { ...wish, vni, port: wish.port ?? DEFAULT_PORT, ...plan },
    conditions: [absent(vniKey(vni))], operations: [put(vniKey(vni), name)],
  }
}

/**
 * Makes a network; its addresses, and its VNI if it has one, are no other network's.
 * @throws OverlayError `taken`, `invalid`, `no-cluster`; StoreError
 */
export const createNetwork = async <Wish extends NetworkWish>(
  store: Store, name: string, wish: Wish,
): Promise<Wish extends PoolWish ? PoolConfig : OverlayConfig> => {
  if (!isNetworkName(name))
    throw invalid(`network name ${JSON.stringify(name)} is not letters and digits`)
  requireEncryption(wish)
  const plan = planOf(wish)
  requireSound(wish)
  for (;;) {
    const { entries } = await store.list(root)
    const known = new Map(entries.map(entry => [entry.key, entry]))
    const cluster = known.get(clusterKey)
    if (cluster === undefined) throw new OverlayError('no-cluster', 'the store holds no cluster', 'make one first')
    if (known.has(networkKey(name))) throw new OverlayError('taken', `network ${name} exists`, 'choose another name')
    requireRoom(name, plan, [...networksIn(entries)].map(([other, entry]) => [other, readConfig(entry)!]))
    const { config, conditions, operations } = making(name, wish, plan, known)
    const last = known.get(networksKey)
    const { succeeded } = await store.commit([
      holding(clusterKey, cluster.value), last === undefined ? absent(networksKey) : unchanged(last),
      absent(networkKey(name)), ...conditions,
    ], [put(networkKey(name), written(config)), ...operations, put(networksKey, name)])
    if (succeeded) return config as Wish extends PoolWish ? PoolConfig : OverlayConfig
  }
}

/** Whether packets of a network between hosts are encrypted. */
export const isEncrypted = ({ encryption }: Pick<NetworkConfig, 'encryption'>): boolean => encryption === 'wireguard'

const usersOf = async (store: Store, name: string): Promise<readonly string[]> => {
  const found = await Promise.all([blocksPrefix(name), staticsPrefix(name)].map(prefix => store.list(prefix)))
  return [...new Set(found.flatMap(({ entries }) => entries).map(entry => ownerOf(entry) ?? 'unknown'))]
}

/**
 * Removes a network that no host uses any more.
 * @throws OverlayError `no-network`, `taken` with the hosts that have addresses of it; StoreError
 */
export const removeNetwork = async (store: Store, name: string): Promise<void> => {
  const config = await get(store, networkKey(name))
  if (config === undefined) throw new NoNetwork(store.name, name)
  const { leaving: _, ...kept } = configOf(config)
  // From here on nobody gets a block: claims have the condition that the configuration is as it was.
  const fence = await store.commit([unchanged(config)], [put(config.key, written({ ...kept, leaving: true }))])
  const fenced = { ...config, revision: fence.revision }
  const users = fence.succeeded ? await usersOf(store, name) : []
  if (users.length > 0) {
    await store.commit([unchanged(fenced)], [put(config.key, written(kept))])
    const message = `network ${name} has addresses on ${users.join(', ')}`
    throw new OverlayError('taken', message, 'remove its containers first')
  }
  // Of a configuration that nobody can read the rest has to go all the same.
  const vni = kept.addressing !== 'pool' && typeof kept.vni === 'number' ? [remove(vniKey(kept.vni))] : []
  const gone = [remove(config.key), ...vni, put(networksKey, name)]
  if (!fence.succeeded || !(await store.commit([unchanged(fenced)], gone)).succeeded) await removeNetwork(store, name)
}
