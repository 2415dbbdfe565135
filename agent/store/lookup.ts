// One key of a store.
import type { Entry, Store } from './store.ts'

/** What a key holds. @throws StoreError */
export const get = async (store: Store, key: string): Promise<Entry | undefined> =>
  // Keys that begin with this one are listed, too, behind it.
  (await store.list(key)).entries.find(entry => entry.key === key)
