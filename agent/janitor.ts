// Hosts that went away for good: one member of the cluster at a time looks for them.
import { clusterIn } from './cluster.ts'
import { freeOrphans } from './departure.ts'
import { alive, hosts, janitorKey, missing, root } from './layout.ts'
import { recordOf, written, type MissingRecord } from './records.ts'
import type { Entry, Lease, Listing, Store } from './store/store.ts'
import { absent, holding, put, remove, unchanged } from './store/transaction.ts'

/** How long a host may be silent before it is removed, in milliseconds. */
export const HOST_GRACE_PERIOD = 24 * 3600_000

/** Makes a host the janitor for as long as a lease is kept, unless there is one. @returns whether it is the janitor */
export const becomeJanitor = async (store: Store, host: string, lease: Lease): Promise<boolean> => {
  const { succeeded, current } = await store.commit([absent(janitorKey)], [put(janitorKey, host, lease.id)])
  return succeeded || current.get(janitorKey)?.lease === lease.id
}

const idsOf = (folder: typeof hosts, { entries }: Listing): ReadonlyMap<string, Entry> =>
  new Map(entries.flatMap(entry => {
    const id = folder.id(entry.key)
    return id === undefined ? [] : [[id, entry] as const]
  }))

/** What is to be done about one host that is silent. */
const pursue = async (
  store: Store, me: string, host: string, record: Entry, mark: Entry | undefined, now: number, grace: number,
  isClockSet: boolean,
): Promise<boolean> => {
  const conditions = [holding(janitorKey, me), unchanged(record), absent(alive.key(host))]
  const since = recordOf<MissingRecord>(mark).since
  const key = missing.key(host)
  // A mark of the future was made by a clock that was wrong; one of before it was set may have been, too.
  const isSound = typeof since === 'number' && since <= now && !isClockSet
  if (mark === undefined || !isSound) {
    const free = mark === undefined ? absent(key) : unchanged(mark)
    await store.commit([...conditions, free], [put(key, written({ since: now } satisfies MissingRecord))])
    return false
  }
  if (now - since < grace) return false
  return (await store.commit([...conditions, unchanged(mark)], [remove(record.key), remove(key)])).succeeded
}

/**
 * One round of the janitor: marks hosts that are silent, removes those that have been for longer than the grace period,
 * and frees what belongs to hosts that are not there.
 * @param now in milliseconds since the epoch
 * @param isClockSet whether that clock was set a moment ago: then silence is counted from now on
 * @returns the hosts that were removed
 * @throws StoreError
 */
export const sweep = async (
  store: Store, me: string, now: number, grace = HOST_GRACE_PERIOD, isClockSet = false,
): Promise<readonly string[]> => {
  const listing = await store.list(root)
  if (clusterIn(listing)?.settled !== true) return []
  const [records, signs, marks] = [hosts, alive, missing].map(folder => idsOf(folder, listing))
  const removed: string[] = []
  for (const [host, record] of records!)
    if (!signs!.has(host) && await pursue(store, me, host, record, marks!.get(host), now, grace, isClockSet))
      removed.push(host)
  for (const [host, mark] of marks!)
    if (signs!.has(host) || !records!.has(host)) await store.commit([unchanged(mark)], [remove(mark.key)])
  await freeOrphans(store)
  return removed
}
