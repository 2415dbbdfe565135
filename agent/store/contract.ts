// What every store is held to, as tests: store.ts says it in words.
import type { Test } from 'tap'
import { setTimeout } from 'node:timers/promises'
import { following } from './contract-following.ts'
import type { Changes, Position, Store } from './store.ts'
import { absent, holding, lasting, put, remove, unchanged } from './transaction.ts'

/** A store that is empty at first, and what can happen to it. */
export interface World {
  /** Another client of it, closed when the test ends. */
  connect(): Store
  /** Forgets the past up to a revision. */
  compact(revision: number): Promise<void>
  wipe(): Promise<void>
  backup(): Promise<void>
  restore(): Promise<void>
}

const root = '/test/'

const write = async (store: Store, ...pairs: readonly (readonly [string, string])[]): Promise<number> =>
  (await store.commit([], pairs.map(([key, value]) => put(root + key, value)))).revision

const short = ({ events }: Changes): string[] => events.map(event => event.kind === 'put'
  ? `${event.entry.key.slice(root.length)}=${event.entry.value}`
  : `-${event.key.slice(root.length)}`)

/** Watches until `enough` has been seen. */
const watched = async (store: Store, from: Position, enough: string, prefix = root): Promise<string[]> => {
  const seen: string[] = []
  const ending = new AbortController()
  for await (const changes of store.watch(prefix, from, ending.signal)) {
    seen.push(...short(changes))
    if (seen.includes(enough)) break
  }
  ending.abort()
  return seen
}

const keysAndValues = async (t: Test, { connect }: World): Promise<void> => {
  const store = connect()
  t.match(await store.list(root), { entries: [] })
  const text = 'Grüße 🌍 "{}"\n\0'
  const revision = await write(store, ['b', '2'], ['a', text], ['c/d', ''])
  t.ok((await store.commit([], [put('/test', 'x'), put('/tesu', 'y')])).succeeded)
  const { entries, revision: now } = await connect().list(root)
  t.same(entries.map(({ key, value }) => [key, value]), [[`${root}a`, text], [`${root}b`, '2'], [`${root}c/d`, '']])
  t.ok(entries.every(entry => entry.revision === revision && entry.created === revision), 'one step, one revision')
  t.ok(now > revision)
  const second = await write(store, ['b', '3'])
  t.match((await store.list(`${root}b`)).entries, [{ value: '3', revision: second, created: revision }])
  await store.commit([], [remove(`${root}b`)])
  t.same((await store.list(`${root}b`)).entries, [])
  const third = await write(store, ['b', '4'])
  t.match((await store.list(`${root}b`)).entries, [{ value: '4', revision: third, created: third }], 'anew')
  t.ok((await store.commit([], [remove(`${root}nothing`)])).succeeded)
}

const conditions = async (t: Test, { connect }: World): Promise<void> => {
  const store = connect()
  const [a, b] = [`${root}a`, `${root}b`]
  t.ok((await store.commit([absent(a), absent(b)], [put(a, '1')])).succeeded)
  const { current, ...no } = await store.commit([absent(a), absent(b)], [put(a, '2'), put(b, '2')])
  t.notOk(no.succeeded)
  t.same([...current.keys()], [a], 'what stands in the way')
  const first = current.get(a)!
  t.equal(first.value, '1')
  t.same((await store.list(root)).entries, [first], 'nothing of it was done')
  t.ok((await store.commit([unchanged(first), holding(a, '1')], [put(a, '2')])).succeeded)
  t.notOk((await store.commit([unchanged(first)], [put(a, '3')])).succeeded)
  t.notOk((await store.commit([holding(a, '1')], [put(a, '3')])).succeeded)
  t.notOk((await store.commit([holding(b, '')], [put(a, '3')])).succeeded, 'what is not there holds nothing')
  t.ok((await store.commit([lasting(first)], [put(a, '3'), put(b, '3')])).succeeded)
  await store.commit([], [remove(a)])
  await store.commit([], [put(a, '3')])
  t.notOk((await store.commit([lasting(first)], [put(a, '4')])).succeeded, 'removed in between')
  t.ok((await store.commit([holding(b, '3')], [])).succeeded, 'nothing to do')
}

const watches = async (t: Test, { connect }: World): Promise<void> => {
  const store = connect()
  await write(store, ['a', '1'], ['b', '1'])
  const start = await store.list(root)
  await write(store, ['a', '2'])
  await store.commit([], [remove(`${root}b`), put('/elsewhere', '1')])
  const early = await watched(store, start, '-b')
  t.same(early, ['a=2', '-b'], 'what happened before the watch began')
  const late = [watched(connect(), start, 'z='), watched(connect(), await store.list(root), 'z='),
    watched(store, start, 'z=', `${root}z`)]
  await setTimeout(50)
  for (const value of ['1', '2', '3']) await write(store, ['c', value])
  await write(store, ['z', ''])
  const [all, recent, one] = await Promise.all(late)
  t.same(all!.filter(text => /^[ab-]/.test(text)), ['a=2', '-b'])
  for (const seen of [all!, recent!])
    t.same(seen.filter(text => !/^[ab-]|c=[12]/.test(text)), ['c=3', 'z='], 'the last state of every key')
  t.same(one, ['z='])
  const leaving = new AbortController()
  const silent = (async () => {
    for await (const changes of store.watch(root, await store.list(root), leaving.signal)) t.same(changes.events, [])
    return 'ended'
  })()
  await setTimeout(100)
  leaving.abort()
  t.equal(await silent, 'ended')
  const other = connect()
  const closed = watched(other, await store.list(root), 'nothing')
  await setTimeout(100)
  other.close()
  t.same(await closed, [], 'closing ends it, too')
}

const isStale = async (t: Test, store: Store, from: Position, why: string): Promise<void> => {
  await t.rejects(watched(store, from, 'nothing'), { name: 'StoreError', trouble: 'stale' }, why)
}

const compaction = async (t: Test, { connect, compact }: World): Promise<void> => {
  const store = connect()
  await write(store, ['a', '1'], ['b', '1'])
  const start = await store.list(root)
  const standing = watched(connect(), start, 'z=')
  await setTimeout(100)
  await store.commit([], [remove(`${root}b`)])
  const last = await write(store, ['a', '2'])
  await setTimeout(50)
  await compact(last)
  await write(store, ['z', ''])
  t.same(await standing, ['-b', 'a=2', 'z='], 'a watch that is up to date does not notice')
  await isStale(t, store, start, 'one that starts before does')
  t.same(await watched(store, { ...await store.list(root), revision: await write(store, ['y', '']) - 1 }, 'y='), ['y='])
}

const restored = async (t: Test, { connect, backup, restore }: World): Promise<void> => {
  const store = connect()
  await store.commit([], [put(`${root}cluster`, 'one'), put(`${root}a`, '1')])
  const past = await store.list(root)
  await backup()
  await write(store, ['a', '2'])
  await write(store, ['b', '1'])
  const lost = await store.list(root)
  await restore()
  await isStale(t, store, lost, 'the revision went back')
  for (let i = 0; i < 5; i++) await write(store, ['c', String(i)])
  await isStale(t, store, lost, 'it has counted further, but what was seen is not in its past')
  const seen = await watched(store, past, 'c=4')
  t.same(seen.filter(text => /^[ab]/.test(text)), [], 'what was seen before the copy is')
}

const wiped = async (t: Test, { connect, wipe }: World): Promise<void> => {
  const store = connect()
  await store.commit([], [put(`${root}cluster`, 'one'), put(`${root}a`, '1')])
  const before = await store.list(root)
  await wipe()
  await isStale(t, store, before, 'nothing is there')
  await store.commit([], [put(`${root}cluster`, 'two')])
  for (let i = 0; i < 5; i++) await write(store, ['a', String(i)])
  t.ok((await store.list(root)).revision > before.revision)
  await isStale(t, store, before, 'another store that has counted further')
}

const leases = async (t: Test, { connect }: World): Promise<void> => {
  const store = connect()
  const [kept, left, ended] = [await store.lease(2), await store.lease(2), await store.lease(60)]
  await store.commit([], [put(`${root}kept`, '', kept.id), put(`${root}left`, '', left.id),
    put(`${root}ended`, '', ended.id), put(`${root}freed`, '', left.id)])
  await write(store, ['freed', ''])
  const start = await store.list(root)
  t.equal(start.entries.find(({ key }) => key === `${root}kept`)?.lease, kept.id)
  const gone = watched(connect(), start, '-left')
  await ended.revoke()
  await ended.revoke()
  t.notOk(await ended.keepAlive(), 'a lease that was revoked')
  const keeping = setInterval(() => { kept.keepAlive().catch(() => undefined) }, 400)
  t.same(await gone, ['-ended', '-left'], 'a lease that nobody keeps runs out, a key that was written again stays')
  clearInterval(keeping)
  t.ok(await kept.keepAlive())
  t.notOk(await left.keepAlive())
  t.same((await store.list(root)).entries.map(({ key }) => key), [`${root}freed`, `${root}kept`])
  await t.rejects(store.commit([], [put(`${root}x`, '', left.id)]), { name: 'StoreError', trouble: 'refused' })
}

const contention = async (t: Test, { connect }: World): Promise<void> => {
  const [clients, each] = [20, 5]
  const begun = performance.now()
  let attempts = 0
  const work = async (store: Store): Promise<void> => {
    for (let done = 0; done < each;) {
      const [now] = (await store.list(`${root}counter`)).entries
      const next = String(Number(now?.value ?? 0) + 1)
      const free = now === undefined ? absent(`${root}counter`) : unchanged(now)
      const taken = [put(`${root}counter`, next), put(`${root}number/${next}`, '')]
      if ((await store.commit([free, absent(`${root}number/${next}`)], taken)).succeeded) done++
      attempts++
    }
  }
  await Promise.all(Array.from({ length: clients }, () => work(connect())))
  const { entries } = await connect().list(root)
  t.equal(entries.find(({ key }) => key.endsWith('counter'))?.value, String(clients * each))
  t.equal(entries.length, clients * each + 1, 'no number was given twice')
  const seconds = (performance.now() - begun) / 1000
  t.comment(`${clients} clients, ${clients * each} numbers, ${attempts} attempts, ${(attempts / seconds).toFixed(0)}/s`)
}

const parts = {
  'keys and values': keysAndValues, conditions, watches, compaction, 'a store that was restored': restored,
  'a store that was wiped': wiped, leases, contention, following,
}

/** Declares the tests. @param world a new store for each, whose identity key is `/test/cluster` */
export const contract = (t: Test, world: (t: Test) => Promise<World>): void => {
  for (const [name, judge] of Object.entries(parts))
    void t.test(name, async part => { await judge(part, await world(part)) })
}
