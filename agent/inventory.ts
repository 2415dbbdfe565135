// What a store holds, for people: its hosts and its networks.
import { blockCount } from './range.ts'
import { alive, hosts, missing, readNetKey, root } from './layout.ts'
import { networksIn, readConfig, type NetworkConfig } from './network.ts'
import {
  ownerOf, recordOf, type BlockRecord, type HostRecord, type MissingRecord, type StaticRecord,
} from './records.ts'
import type { Entry, Store } from './store/store.ts'

export interface HostEntry {
  readonly host: string
  readonly name: string
  /** Of the tunnel's end. */
  readonly address: string
  readonly alive: boolean
  /** Since when it is silent, in milliseconds since the epoch, as far as somebody has noticed. */
  readonly silentSince?: number
  readonly blocks: number
  readonly networks: readonly string[]
  readonly mtu?: number
  readonly version?: string
}

export type NetworkEntry = NetworkConfig & {
  readonly network: string
  /** How many blocks there are in all its ranges. */
  readonly capacity: number
  readonly blocks: readonly { readonly block: string; readonly host: string }[]
  readonly statics: readonly Pick<StaticRecord, 'ip' | 'host' | 'container' | 'ifname'>[]
}

/** What a writer of another mind may have put in its place is shown as nothing. */
const text = (value: unknown): string => typeof value === 'string' ? value : ''

const claims = (entries: readonly Entry[]): readonly Entry[] =>
  entries.filter(({ key }) => ['blocks', 'static'].includes(readNetKey(key)?.part ?? ''))

/** All hosts in the order of their names. @throws StoreError */
export const listHosts = async (store: Store): Promise<readonly HostEntry[]> => {
  const { entries } = await store.list(root)
  const living = new Set(entries.flatMap(({ key }) => alive.id(key) ?? []))
  const marks = new Map(entries.flatMap(entry => {
    const id = missing.id(entry.key)
    return id === undefined ? [] : [[id, recordOf<MissingRecord>(entry).since] as const]
  }))
  const owned = claims(entries)
  return entries.flatMap(entry => {
    const host = hosts.id(entry.key)
    if (host === undefined) return []
    const { name, vtep4, vtep6, mtu, version } = recordOf<HostRecord>(entry)
    const own = owned.filter(claim => ownerOf(claim) === host).map(({ key }) => readNetKey(key)!)
    const since = marks.get(host)
    return [{
      host, name: text(name), address: text(vtep4) || text(vtep6), alive: living.has(host),
      ...typeof since === 'number' ? { silentSince: since } : {},
      blocks: own.filter(({ part }) => part === 'blocks').length,
      networks: [...new Set(own.map(({ network }) => network))],
      ...typeof mtu === 'number' ? { mtu } : {}, ...typeof version === 'string' ? { version } : {},
    }]
  })
}

/** All networks in the order of their names. @throws StoreError */
export const listNetworks = async (store: Store): Promise<readonly NetworkEntry[]> => {
  const { entries } = await store.list(root)
  return [...networksIn(entries)].map(([network, entry]) => {
    const config = readConfig(entry)!
    const own = (part: string): readonly Entry[] => entries.filter(({ key }) => {
      const read = readNetKey(key)
      return read?.network === network && read.part === part
    })
    return {
      ...config, network,
      capacity: config.ranges.reduce((sum, range) => sum + blockCount(range), 0),
      blocks: own('blocks').map(found => recordOf<BlockRecord>(found))
        .map(({ block, host }) => ({ block: text(block), host: text(host) })),
      statics: own('static').map(found => recordOf<StaticRecord>(found))
        .map(({ ip, host, container, ifname }) =>
          ({ ip: text(ip), host: text(host), container: text(container), ifname: text(ifname) })),
    }
  })
}
