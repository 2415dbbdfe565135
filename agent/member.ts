// A host as a member of a cluster: what it needs for a claim.
import { clusterKey, hosts } from './layout.ts'
import { withShare, type Memory, type MemoryKeeper, type Share } from './memory.ts'
import type { NetworkConfig } from './network.ts'
import { OverlayError } from './overlay-error.ts'
import type { Entry, Outcome, Store } from './store/store.ts'
import { holding, lasting, type Condition } from './store/transaction.ts'

/** What became of a membership that commits rely on. */
type Standing = 'removed' | 'foreign-cluster'

const advice = { 'removed': 'it joins again', 'foreign-cluster': 'point it at the store of its own cluster' } as const

/** Who may change which memory: the member that was made last. */
const holders = new WeakMap<MemoryKeeper, Member>()

export class Member {
  readonly store: Store
  readonly host: string
  readonly cluster: string
  /** The host's record as it was written: whoever removes the host removes it. */
  readonly record: Entry
  readonly #keeper: MemoryKeeper
  #memory: Memory
  #last: Promise<unknown> = Promise.resolve()

  /** @param keeper a member that had it before is none any more */
  constructor(store: Store, keeper: MemoryKeeper, memory: Memory, cluster: string, record: Entry) {
    holders.set(keeper, this)
    this.store = store
    this.host = memory.host
    this.cluster = cluster
    this.record = record
    this.#keeper = keeper
    this.#memory = memory
  }

  get memory(): Memory { return this.#memory }

  /** The conditions of everything that this host writes: it is still a member of the same cluster. */
  get conditions(): readonly Condition[] { return [holding(clusterKey, this.cluster), lasting(this.record)] }

  share(network: string): Share | undefined { return this.#memory.shares[network] }

  /** Runs steps one after the other: between looking at the memory and changing it nobody else does. */
  inTurn<T>(step: () => Promise<T>): Promise<T> {
    const next = this.#last.then(step)
    this.#last = next.catch(() => undefined)
    return next
  }

  /** Changes the memory; it is on the disk when this returns. @throws OverlayError when the host has joined again */
  remember(change: (memory: Memory) => Memory): void {
    if (holders.get(this.#keeper) !== this)
      throw new OverlayError('removed', `host ${this.host} has joined the cluster again`, 'use its new membership')
    const next = change(this.#memory)
    this.#keeper.write(next)
    this.#memory = next
  }

  /** Changes the share of a network, which is empty at first. */
  rememberShare(network: string, config: NetworkConfig, change: (share: Share) => Share): void {
    const before = this.share(network) ?? { config, blocks: [], statics: [], lost: [] }
    this.remember(memory => withShare(memory, network, change({ ...before, config })))
  }

  /** Why a commit with the conditions above failed, if it did and it is for them. @throws OverlayError */
  requireStanding({ succeeded, current }: Outcome): void {
    if (succeeded) return
    const standing: Standing | undefined = current.get(clusterKey)?.value !== this.cluster
      ? 'foreign-cluster'
      : current.get(hosts.key(this.host))?.created !== this.record.created ? 'removed' : undefined
    if (standing === 'removed')
      throw new OverlayError(standing, `host ${this.host} was removed from the cluster`, advice[standing])
    if (standing !== undefined)
      throw new OverlayError(standing, `${this.store.name} is not the store of cluster ${this.cluster} any more`,
        advice[standing])
  }
}
