// How a host leaves a cluster: its record first, which ends its claims, then what it had.
import { alive, hosts, missing, readNetKey, root } from './layout.ts'
import { OverlayError } from './overlay-error.ts'
import { ownerOf } from './records.ts'
import { get } from './store/lookup.ts'
import type { Entry, Store } from './store/store.ts'
import { absent, remove, unchanged } from './store/transaction.ts'

const BATCH = 50

/**
 * Frees blocks and addresses of hosts that have no record: of hosts that were removed, and of removals that were
 * interrupted. A host that comes back in between keeps what is its own.
 * @returns how many were freed
 * @throws StoreError
 */
export const freeOrphans = async (store: Store): Promise<number> => {
  const { entries } = await store.list(root)
  const present = new Set(entries.flatMap(({ key }) => hosts.id(key) ?? []))
  const orphans = new Map<string, Entry[]>()
  for (const entry of entries) {
    const host = readNetKey(entry.key)?.part === 'config' ? undefined : ownerOf(entry)
    if (readNetKey(entry.key) === undefined || host === undefined || present.has(host)) continue
    orphans.set(host, [...orphans.get(host) ?? [], entry])
  }
  let freed = 0
  for (const [host, all] of orphans) {
    for (let i = 0; i < all.length; i += BATCH) {
      const some = all.slice(i, i + BATCH)
      const conditions = [absent(hosts.key(host)), ...some.map(unchanged)]
      if ((await store.commit(conditions, some.map(({ key }) => remove(key)))).succeeded) freed += some.length
    }
  }
  return freed
}

/**
 * Removes a host and frees all that it has.
 * @param force also when it is alive: it will notice, but its containers keep addresses that others get
 * @returns whether there was such a host
 * @throws OverlayError `alive`; StoreError
 */
export const removeHost = async (store: Store, host: string, force = false): Promise<boolean> => {
  const record = await get(store, hosts.key(host))
  if (record !== undefined) {
    const [key, mark] = [alive.key(host), missing.key(host)]
    const { succeeded, current } = await store.commit([unchanged(record), ...force ? [] : [absent(key)]],
      [remove(record.key), remove(key), remove(mark)])
    if (!succeeded && current.has(key) && !force)
      throw new OverlayError('alive', `host ${host} is alive`, 'stop its agent and wait half a minute, or use --force')
    if (!succeeded) return await removeHost(store, host, force)
  }
  await freeOrphans(store)
  return record !== undefined
}
