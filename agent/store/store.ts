// What the agent keeps its shared facts in: ordered keys with revisions, after the model of etcd v3. Two stores have
// it, etcd.ts for clusters and file.ts for one machine; contract.ts is what both are held to.
import type { Condition, Operation } from './transaction.ts'

/** A key and what it holds. */
export interface Entry {
  readonly key: string
  readonly value: string
  /** The store's revision when this was written: etcd's mod_revision. */
  readonly revision: number
  /** The revision when the key came to be; another one after it was removed and written again. */
  readonly created: number
  /** The lease that the key disappears with. */
  readonly lease?: string
}

/** A point in the history of one store: where a listing was taken, and where a watch goes on. */
export interface Position {
  /** Which store this is. It changes when a store is replaced by another one. */
  readonly identity: string
  readonly revision: number
  /** An entry that this store held at that revision: a restored one may have counted as far with other entries. */
  readonly anchor?: Entry
}

/** All entries below a prefix at one moment, in the order of their keys. */
export interface Listing extends Position { readonly entries: readonly Entry[] }

export type Event =
  | { readonly kind: 'put'; readonly entry: Entry }
  | { readonly kind: 'removed'; readonly key: string; readonly revision: number }

/** What happened after the position before, in order. */
export interface Changes {
  readonly events: readonly Event[]
  readonly position: Position
}

/** How a transaction ended. */
export interface Outcome {
  /** Whether all conditions held and everything was written; otherwise nothing was. */
  readonly succeeded: boolean
  /** Of the store after it: what was written carries it. */
  readonly revision: number
  /** After a failure: what the keys of the conditions hold; those that do not exist are missing. */
  readonly current: ReadonlyMap<string, Entry>
}

/** Keys written with a lease are removed `seconds` after it was last kept alive. */
export interface Lease {
  readonly id: string
  readonly seconds: number
  /** Begins the lease's time anew. @returns false when it has ended: take another one @throws StoreError */
  keepAlive(): Promise<boolean>
  /** Ends it, and its keys, at once. @throws StoreError */
  revoke(): Promise<void>
}

export interface Store {
  /** For people: where the store is. */
  readonly name: string

  /** Everything below a prefix, no older than any answer given before the call. @throws StoreError */
  list(prefix: string): Promise<Listing>

  /**
   * What changes below a prefix after a position, until `signal` is aborted. States of a key that were overwritten at
   * once may be left out, the last state of a key never is.
   * @throws StoreError `stale` when the changes since the position are not to be had: list again. `unreachable` when
   * the store went away: watch again from the last position, or list.
   */
  watch(prefix: string, from: Position, signal: AbortSignal): AsyncIterable<Changes>

  /**
   * Carries out all operations in one step if all conditions hold. At most 128 of each, no key twice.
   * @throws StoreError `unknown` when the answer was lost: it may have been carried out or not, look
   */
  commit(conditions: readonly Condition[], operations: readonly Operation[]): Promise<Outcome>

  /** Takes a lease. @param seconds how long it lasts unless kept alive @throws StoreError */
  lease(seconds: number): Promise<Lease>

  /** Ends connections and watches. */
  close(): void
}
