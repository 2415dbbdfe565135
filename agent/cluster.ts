// The identity of a cluster. A store that was wiped looks like a new one; what hosts remember tells the difference.
import { readRandom } from '#sys/file.ts'
import { clusterKey, settledKey } from './layout.ts'
import { OverlayError } from './overlay-error.ts'
import type { Listing, Store } from './store/store.ts'
import { absent, holding, put, remove } from './store/transaction.ts'

/** How long old owners of blocks have time to come back after the store was wiped, in milliseconds. */
export const CLAIM_HOLD_DOWN = 60_000

export interface ClusterState {
  readonly id: string
  /** Whether blocks may be claimed that nobody owned before. */
  readonly settled: boolean
}

/** What a listing that contains them says of the cluster. */
export const clusterIn = ({ entries }: Pick<Listing, 'entries'>): ClusterState | undefined => {
  const valueOf = (key: string): string | undefined => entries.find(entry => entry.key === key)?.value
  const id = valueOf(clusterKey)
  return id === undefined ? undefined : { id, settled: valueOf(settledKey) === id }
}

/**
 * Makes a cluster in an empty store, because a person says that it is one: it is settled at once. A store that holds a
 * cluster keeps it.
 * @returns the cluster's id
 */
export const foundCluster = async (store: Store): Promise<string> => {
  const id = Buffer.from(readRandom(8)).toString('hex')
  const empty = [absent(clusterKey), absent(settledKey)]
  const { succeeded, current } = await store.commit(empty, [put(clusterKey, id), put(settledKey, id)])
  const found = succeeded ? id : current.get(clusterKey)?.value
  if (found === undefined)
    throw new OverlayError('no-cluster', `${store.name}: ${settledKey} is there, ${clusterKey} is not`)
  return found
}

/**
 * Puts a cluster back into a store that has lost it. It is not settled: what was claimed in it is not all there yet.
 * Another host may have been faster.
 */
export const returnCluster = async (store: Store, id: string): Promise<void> => {
  await store.commit([absent(clusterKey)], [put(clusterKey, id), remove(settledKey)])
}

/** Notes that a store has lost some of what it knew. */
export const unsettle = async (store: Store, id: string): Promise<void> => {
  await store.commit([holding(clusterKey, id)], [remove(settledKey)])
}

/** Notes that everybody who owned something has had the time to say so. */
export const settle = async (store: Store, id: string): Promise<void> => {
  await store.commit([holding(clusterKey, id), absent(settledKey)], [put(settledKey, id)])
}

/** Measures, by the clock of one host, for how long a cluster has been unsettled. */
export class HoldDown {
  readonly #length: number
  #id: string | undefined
  #since = 0

  constructor(length = CLAIM_HOLD_DOWN) { this.#length = length }

  /**
   * To be told whenever the state of the cluster was seen.
   * @param now in milliseconds, of a clock that is never set
   * @returns the milliseconds that are left, 0 when it is time to settle; undefined when there is nothing to wait for
   */
  seen(state: ClusterState | undefined, now: number): number | undefined {
    if (state === undefined || state.settled) {
      this.#id = undefined
      return undefined
    }
    if (this.#id !== state.id) {
      this.#id = state.id
      this.#since = now
    }
    return Math.max(0, this.#since + this.#length - now)
  }
}
