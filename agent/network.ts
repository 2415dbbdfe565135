// Networks as the store knows them: made once, the same on all hosts, never changed in what addresses depend on.
import { overlaps, parsePrefix, subnetOf } from '#net/prefix.ts'
import { blocksPrefix, clusterKey, networkKey, networksKey, readNetKey, root, staticsPrefix, vniKey } from './layout.ts'
import { OverlayError } from './overlay-error.ts'
import type { Range } from './range.ts'
import { ownerOf, recordOf, written } from './records.ts'
import { get } from './store/lookup.ts'
import type { Entry, Store } from './store/store.ts'
import { absent, holding, put, remove, unchanged } from './store/transaction.ts'

export type Addressing = 'hostSubnet' | 'flat'

/** `vni` names the network on the wire, `port` is the UDP port of its packets. */
export const encryptions = ['none', 'wireguard'] as const

export interface NetworkConfig {
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

/** What a user says: the rest has defaults. */
export interface NetworkWish extends Partial<Omit<NetworkConfig, 'ranges'>> {
  readonly ranges: readonly { readonly subnet: string; readonly blockLength?: number }[]
}

const DEFAULT_PORT = 4789 // RFC 7348; the kernel's own default is another one
const [LOWEST_VNI, HIGHEST_VNI] = [4096, 2 ** 24 - 1]
/** Addresses of a block in flat mode, as a power of two. */
const FLAT_BITS = 6

const invalid = (message: string, advice = ''): OverlayError => new OverlayError('invalid', message, advice)

const rangeOf = (
  { subnet, blockLength }: NetworkWish['ranges'][number], i: number, addressing: Addressing,
): Range => {
  const prefix = parsePrefix(subnet)
  const key = `ranges[${i}]`
  if (prefix === undefined) throw invalid(`${key}.subnet ${JSON.stringify(subnet)} is no subnet`, 'write 10.1.0.0/16')
  if (subnetOf(prefix) !== subnet)
    throw invalid(`${key}.subnet ${subnet} has host bits or is not in canonical text`, `write ${subnetOf(prefix)}`)
  const bits = 8 * prefix.bytes.length
  const length = blockLength ?? (addressing === 'flat' ? bits - FLAT_BITS : prefix.family === 'ipv4' ? 24 : 64)
  if (!Number.isInteger(length) || length < prefix.length || length > bits - 2)
    throw invalid(`${key}.blockLength ${length} does not cut ${subnet} into blocks`,
      `a number from ${prefix.length} to ${bits - 2}`)
  return { subnet, blockLength: length }
}

const rangesOf = ({ ranges }: NetworkWish, addressing: Addressing): Range[] => {
  const cut = ranges.map((range, i) => rangeOf(range, i, addressing))
  if (cut.length === 0) throw invalid('ranges is empty', 'name a subnet')
  for (const [i, { subnet }] of cut.entries())
    for (const [j, other] of cut.slice(0, i).entries())
      if (overlaps(parsePrefix(subnet)!, parsePrefix(other.subnet)!))
        throw invalid(`ranges[${i}].subnet ${subnet} overlaps ranges[${j}].subnet ${other.subnet}`)
  return cut
}

const vniFor = (wish: NetworkWish, isTaken: (vni: number) => boolean): number => {
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
  if (!Number.isInteger(vni) || vni < 1 || vni > HIGHEST_VNI)
    throw invalid(`vni ${vni} is not from 1 to ${HIGHEST_VNI}`)
  return vni
}

const requireEncryption = ({ encryption = 'none', port }: NetworkWish): void => {
  if (!encryptions.includes(encryption))
    throw invalid(`encryption ${JSON.stringify(encryption)} is not known`, `one of ${encryptions.join(', ')}`)
  if (isEncrypted({ encryption }) && port !== undefined)
    throw invalid(`port ${port} with encryption ${encryption}: all encrypted networks of a host share one port`,
      'leave it out; it is the agent\'s wireguard-port')
}

/** The configuration of a network in the store. */
export const configOf = (entry: Entry): NetworkConfig => recordOf<NetworkConfig>(entry) as NetworkConfig

/** All networks of a listing by name. */
export const networksIn = (entries: readonly Entry[]): ReadonlyMap<string, Entry> =>
  new Map(entries.flatMap(entry => {
    const read = readNetKey(entry.key)
    return read?.part === 'config' ? [[read.network, entry] as const] : []
  }))

const requireRoom = (name: string, ranges: readonly Range[], others: ReadonlyMap<string, Entry>): void => {
  for (const [other, entry] of others)
    for (const { subnet } of configOf(entry).ranges)
      for (const range of ranges)
        if (overlaps(parsePrefix(range.subnet)!, parsePrefix(subnet)!))
          throw new OverlayError('taken', `subnet ${range.subnet} of network ${name} overlaps ${subnet} of ${other}`,
            'choose another subnet')
}

/**
 * Makes a network; its VNI and its addresses are no other network's.
 * @throws OverlayError `taken`, `invalid`, `no-cluster`; StoreError
 */
export const createNetwork = async (store: Store, name: string, wish: NetworkWish): Promise<NetworkConfig> => {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name))
    throw invalid(`network name ${JSON.stringify(name)} is not letters and digits`)
  requireEncryption(wish)
  const addressing = wish.addressing ?? 'hostSubnet'
  const ranges = rangesOf(wish, addressing)
  for (;;) {
    const { entries } = await store.list(root)
    const known = new Map(entries.map(entry => [entry.key, entry]))
    const cluster = known.get(clusterKey)
    if (cluster === undefined) throw new OverlayError('no-cluster', 'the store holds no cluster', 'make one first')
    if (known.has(networkKey(name))) throw new OverlayError('taken', `network ${name} exists`, 'choose another name')
    requireRoom(name, ranges, networksIn(entries))
    const vni = vniFor(wish, choice => known.has(vniKey(choice)))
    const owner = known.get(vniKey(vni))
    if (owner !== undefined)
      throw new OverlayError('taken', `vni ${vni} is network ${owner.value}'s`, 'choose another one')
    const config = { ...wish, vni, port: wish.port ?? DEFAULT_PORT, addressing, ranges }
    const last = known.get(networksKey)
    const { succeeded } = await store.commit([
      holding(clusterKey, cluster.value), last === undefined ? absent(networksKey) : unchanged(last),
      absent(networkKey(name)), absent(vniKey(vni)),
    ], [put(networkKey(name), written(config)), put(vniKey(vni), name), put(networksKey, name)])
    if (succeeded) return config
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
  if (config === undefined) throw new OverlayError('no-network', `there is no network ${name}`)
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
  const gone = [remove(config.key), remove(vniKey(kept.vni)), put(networksKey, name)]
  if (!fence.succeeded || !(await store.commit([unchanged(fenced)], gone)).succeeded) await removeNetwork(store, name)
}
