// Removing a network that no container uses, although hosts have blocks of it: they are asked to give them back.
import { setTimeout } from 'node:timers/promises'
import { blocksPrefix, networkKey, staticsPrefix } from './layout.ts'
import { configOf, removeNetwork } from './network.ts'
import { recordOf, written } from './records.ts'
import { get } from './store/lookup.ts'
import type { Store } from './store/store.ts'
import { put, unchanged } from './store/transaction.ts'

const LOOK_EVERY = 100 // milliseconds

/**
 * Marks the network as leaving, which agents answer by giving their blocks back, and removes it when all have. A
 * network that is in use stays as it was.
 * @param patience how long hosts have time, in milliseconds
 * @throws OverlayError `no-network`, `taken` with the hosts that use it; StoreError
 */
export const retireNetwork = async (store: Store, name: string, patience: number): Promise<void> => {
  const entry = await get(store, networkKey(name))
  if (entry !== undefined && recordOf<{ leaving: boolean }>(entry).leaving !== true)
    await store.commit([unchanged(entry)], [put(entry.key, written({ ...configOf(entry), leaving: true }))])
  const start = performance.now()
  while (entry !== undefined && performance.now() - start < patience) {
    const found = await Promise.all([blocksPrefix(name), staticsPrefix(name)].map(prefix => store.list(prefix)))
    if (found.every(({ entries }) => entries.length === 0)) break
    await setTimeout(LOOK_EVERY)
  }
  await removeNetwork(store, name)
}
