// A prefix of a store for as long as somebody wants it: list, watch, and list again when that is called for.
import { Backoff, pause } from './backoff.ts'
import { advanced } from './position.ts'
import type { Changes, Listing, Position, Store } from './store.ts'
import { isTrouble, type StoreError } from './store-error.ts'

export type Update =
  | { readonly kind: 'listing'; readonly listing: Listing }
  | { readonly kind: 'changes'; readonly changes: Changes }
  | { readonly kind: 'trouble'; readonly error: StoreError }

/**
 * First all entries below a prefix, then what changes. A new listing replaces everything that was known: it comes after
 * compaction, after the store was restored, and when it is another one. `trouble` tells that the store is gone for the
 * moment; what was known stays valid as far as anybody can tell. `changes` without events tell that a watch stands: the
 * store is back. Ends when `signal` is aborted.
 */
export async function* follow(
  store: Store, prefix: string, signal: AbortSignal, backoff = new Backoff(),
): AsyncGenerator<Update, void> {
  let position: Position | undefined
  let outdated = false
  while (!signal.aborted) {
    try {
      if (position === undefined) {
        const listing = await store.list(prefix)
        position = advanced(listing, prefix, listing.revision, [])
        yield { kind: 'listing', listing }
      }
      for await (const changes of store.watch(prefix, position, signal)) {
        backoff.reset()
        outdated = false
        position = changes.position
        yield { kind: 'changes', changes }
      }
    } catch (error) {
      if (!isTrouble(error)) throw error
      if (signal.aborted) return
      const again = outdated
      outdated = isTrouble(error, 'stale')
      if (outdated) position = undefined
      else yield { kind: 'trouble', error }
      if (!outdated || again) await pause(backoff.next(), signal)
    }
  }
}
