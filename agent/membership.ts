// How a host becomes, stays and becomes again a member of a cluster.
import { reclaimBlocks } from './blocks.ts'
import { clusterIn, returnCluster, unsettle, type ClusterState } from './cluster.ts'
import { alive, clusterKey, hosts, missing, networkKey, readNetKey, root, vniKey } from './layout.ts'
import { Member } from './member.ts'
import { newMemory, withShare, type Memory, type MemoryKeeper } from './memory.ts'
import { networksIn } from './network.ts'
import { OverlayError } from './overlay-error.ts'
import { ownerOf, recordOf, written, type HostFacts, type HostRecord } from './records.ts'
import { reclaimStatics } from './statics.ts'
import type { Entry, Lease, Listing, Store } from './store/store.ts'
import { absent, holding, put, remove, unchanged } from './store/transaction.ts'

/** How long a host counts as alive without a sign of life, in seconds. */
export const ALIVE_FOR = 30

const memoryOf = (keeper: MemoryKeeper, host: string): Memory => {
  const known = keeper.read()
  if (known !== undefined && known.host !== host)
    throw new OverlayError('invalid', `the state directory is that of host ${known.host}, not of ${host}`,
      'configure the host-id that it had, or empty the directory if the host never had containers')
  if (known !== undefined) return known
  const memory = newMemory(host)
  keeper.write(memory)
  return memory
}

/** The cluster that the store holds and this host may join; undefined when it had to be put back first. */
const joinable = async (store: Store, listing: Listing, memory: Memory): Promise<ClusterState | undefined> => {
  const state = clusterIn(listing)
  const { cluster } = memory
  if (state === undefined && cluster === undefined)
    throw new OverlayError('no-cluster', `${store.name} holds no cluster`, 'fairlead overlay create')
  if (state === undefined) {
    await returnCluster(store, cluster!)
    return undefined
  }
  if (cluster !== undefined && state.id !== cluster)
    throw new OverlayError('foreign-cluster', `${store.name} holds cluster ${state.id}, this host is of ${cluster}`,
      'point it at the store of its own cluster, or remove its state directory')
  // A backup was restored: claims that were made after it are missing.
  if (cluster !== undefined && state.settled && listing.revision < memory.revision) await unsettle(store, cluster)
  return state
}

/**
 * Whether two machines have the same memory, as when a virtual machine was copied with what it had: another kernel and
 * another address. One that was started anew has its address, and an agent that was has its kernel.
 */
const isCopy = (known: HostFacts, here: HostFacts): boolean =>
  known.boot !== undefined && here.boot !== undefined && known.boot !== here.boot &&
  (known.vtep4 !== here.vtep4 || known.vtep6 !== here.vtep6)

interface Joined { readonly member: Member; readonly lease: Lease }

const tryJoin = async (
  store: Store, keeper: MemoryKeeper, memory: Memory, cluster: string, entries: readonly Entry[], facts: HostFacts,
  seconds: number,
): Promise<Joined | undefined> => {
  const { host, token } = memory
  const [key, aliveKey] = [hosts.key(host), alive.key(host)]
  const now = entries.find(entry => entry.key === key)
  if (now !== undefined && recordOf<HostRecord>(now).token !== token) {
    // A machine that was set up anew, or a second one of the same name.
    if (entries.some(entry => entry.key === aliveKey))
      throw new OverlayError('host-taken', `another machine that is running is host ${host}`,
        'give this one a machine-id or a host-id of its own, and an empty state directory; ' +
        'if it is the same machine, wait half a minute')
    await store.commit([unchanged(now), absent(aliveKey)], [remove(key)])
    return undefined
  }
  if (now !== undefined && entries.some(entry => entry.key === aliveKey) && isCopy(recordOf<HostRecord>(now), facts))
    throw new OverlayError('host-taken', `a copy of this machine is running as host ${host}`,
      'empty the state directory of one and give it a name of its own; if there is but one, wait half a minute')
  const lease = await store.lease(seconds)
  const value = written({ ...facts, token } satisfies HostRecord)
  const { succeeded, revision } = await store.commit(
    [holding(clusterKey, cluster), now === undefined ? absent(key) : unchanged(now)],
    [put(key, value), put(aliveKey, token, lease.id), remove(missing.key(host))])
  if (!succeeded) return undefined
  const record = { key, value, revision, created: now?.created ?? revision }
  // Read once more: an earlier member of this process may have changed it until now.
  const member = new Member(store, keeper, keeper.read() ?? memory, cluster, record)
  member.remember(before => ({ ...before, cluster }))
  return { member, lease }
}

/** Puts networks back that the store has lost. */
const returnNetworks = async (member: Member, entries: readonly Entry[]): Promise<void> => {
  const known = networksIn(entries)
  for (const [name, { config }] of Object.entries(member.memory.shares)) {
    if (known.has(name)) continue
    const key = networkKey(name)
    const vni = config.addressing === 'pool' ? [] : [vniKey(config.vni)]
    await member.store.commit([...member.conditions, absent(key), ...vni.map(absent)],
      [put(key, written(config)), ...vni.map(text => put(text, name))])
  }
}

const namesOf = (host: string, entries: readonly Entry[]): readonly string[] => entries.flatMap(entry => {
  const read = readNetKey(entry.key)
  return read !== undefined && read.part !== 'config' && ownerOf(entry) === host ? [read.network] : []
})

const reclaim = async (member: Member, network: string): Promise<void> => {
  try {
    await reclaimBlocks(member, network)
    await reclaimStatics(member, network)
  } catch (error) {
    if (!(error instanceof OverlayError) || error.obstacle !== 'no-network') throw error
    member.remember(memory => {
      const share = memory.shares[network]
      const lost = share && { ...share, blocks: [], statics: [], lost: [...share.lost, ...share.blocks] }
      return withShare(memory, network, lost)
    })
  }
}

/**
 * Joins the cluster of a store, for the first time or again: after a restart, and whenever the store turns out to have
 * been wiped, restored, or to have lost this host. Afterwards memory and store agree about what is this host's.
 * @param host its name, the same for ever, and no other machine's
 * @param seconds how long it counts as alive without `stayAlive`
 * @param listing what the store held a moment ago: only a first attempt goes by it, and it fails if that is outdated
 * @throws OverlayError `no-cluster`, `foreign-cluster`, `host-taken`, `invalid`; StoreError: call it again
 */
export const join = async (
  store: Store, keeper: MemoryKeeper, host: string, facts: HostFacts,
  { seconds = ALIVE_FOR, listing: known }: { readonly seconds?: number; readonly listing?: Listing | undefined } = {},
): Promise<Joined> => {
  const memory = memoryOf(keeper, host)
  for (let first = known; ; first = undefined) {
    const listing = first ?? await store.list(root)
    const state = await joinable(store, listing, memory)
    const joined = state && await tryJoin(store, keeper, memory, state.id, listing.entries, facts, seconds)
    if (joined === undefined) continue
    const { member } = joined
    await returnNetworks(member, listing.entries)
    const names = new Set([...Object.keys(member.memory.shares), ...namesOf(host, listing.entries)])
    for (const name of names) await reclaim(member, name)
    member.remember(before => ({ ...before, revision: listing.revision }))
    return joined
  }
}

/** Gives a sign of life. @returns the lease that is to be kept from now on @throws OverlayError, StoreError */
export const stayAlive = async (member: Member, lease: Lease): Promise<Lease> => {
  if (await lease.keepAlive()) return lease
  const next = await member.store.lease(lease.seconds)
  const { host, token } = member.memory
  const sign = [put(alive.key(host), token, next.id), remove(missing.key(host))]
  member.requireStanding(await member.store.commit(member.conditions, sign))
  return next
}

/** Tells the others something new about this host. @throws OverlayError, StoreError */
export const publish = async (member: Member, facts: HostFacts): Promise<void> => {
  const record = written({ ...facts, token: member.memory.token } satisfies HostRecord)
  member.requireStanding(await member.store.commit(member.conditions, [put(hosts.key(member.host), record)]))
}
