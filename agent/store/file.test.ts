// The file store keeps the contract of stores; several processes may use it, and die at any moment.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { contract, type World } from './contract.ts'
import { compacted, emptyState, ended, withLease, type State } from './file-state.ts'
import { FileStore } from './file.ts'
import { StoreDirectory } from './store-directory.ts'
import { absent, put } from './transaction.ts'

const place = (t: Test): string => {
  const path = mkdtempSync('/tmp/fairlead-store-')
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}

const world = async (t: Test): Promise<World> => {
  const path = place(t)
  const directory = new StoreDirectory(`${path}/store`)
  return {
    connect() {
      const store = new FileStore(`${path}/store`)
      t.teardown(() => { store.close() })
      return store
    },
    async compact(revision) {
      directory.alone(() => {
        directory.replace(JSON.stringify(compacted(JSON.parse(directory.read()!) as State, revision)))
      })
    },
    async wipe() { rmSync(`${path}/store`, { recursive: true }) },
    async backup() { cpSync(`${path}/store`, `${path}/backup`, { recursive: true }) },
    async restore() {
      rmSync(`${path}/store`, { recursive: true })
      cpSync(`${path}/backup`, `${path}/store`, { recursive: true })
    },
  }
}

void test('the contract', async t => { contract(t, world) })

// Each number has a key of its own, so whoever dies between two of them loses nothing.
const worker = `
const [path, name] = process.argv.slice(1)
const { FileStore } = await import('${import.meta.dirname}/file.ts')
const { absent, put, unchanged } = await import('${import.meta.dirname}/transaction.ts')
const store = new FileStore(path)
for (;;) {
  const [now] = (await store.list('counter')).entries
  const next = String(Number(now?.value ?? 0) + 1)
  const free = now === undefined ? absent('counter') : unchanged(now)
  await store.commit([free, absent('number/' + next)], [put('counter', next), put('number/' + next, name)])
}`

void test('processes that are killed while they write', async t => {
  const path = `${place(t)}/store`
  const store = new FileStore(path)
  let killed = 0
  const begun = performance.now()
  await Promise.all(['a', 'b'].map(async name => {
    for (let life = 0; life < 3; life++) {
      const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', worker, path, name + life]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      t.teardown(() => { child.kill('SIGKILL') })
      while ((await store.list('number/')).entries.every(({ value }) => value !== name + life)) await setTimeout(5)
      await setTimeout(20 + 30 * Math.random())
      child.kill('SIGKILL')
      await once(child, 'exit')
      killed++
    }
  }))
  const { entries } = await store.list('')
  const numbers = entries.filter(({ key }) => key.startsWith('number/'))
  t.equal(entries.find(({ key }) => key === 'counter')?.value, String(numbers.length), 'none is missing, none twice')
  t.ok((await store.commit([absent('after')], [put('after', '')])).succeeded, 'nobody holds the lock')
  t.comment(`${killed} kills, ${numbers.length} numbers, ${(performance.now() - begun).toFixed(0)} ms`)
})

void test('what is on the disk', async t => {
  const path = `${place(t)}/a/store`
  const store = new FileStore(path)
  await store.commit([], [put('key', 'value')])
  t.equal(statSync(path).mode & 0o777, 0o700)
  t.equal(statSync(`${path}/store.json`).mode & 0o777, 0o600)
  const before = readFileSync(`${path}/store.json`, 'utf8')
  writeFileSync(`${path}/store.json.new`, before.slice(0, 20))
  t.equal((await new FileStore(path).list('')).entries.length, 1, 'the half of a write that was not finished')
  await store.commit([], [put('key', 'other')])
  t.notOk(existsSync(`${path}/store.json.new`))
  writeFileSync(`${path}/store.json`, before.slice(0, 20))
  await t.rejects(store.list(''), { trouble: 'refused', message: /store\.json is no JSON.*restore or remove it/ })
  await t.rejects(store.commit([], [put('key', '')]), { name: 'StoreError', trouble: 'refused' })
  t.equal(readFileSync(`${path}/store.json`, 'utf8'), before.slice(0, 20), 'it is not overwritten')
})

void test('a lease lasts from the very moment that it is taken', async t => {
  // Hundredths of seconds, as /proc/uptime has them, are no exact numbers.
  const moments = Array.from({ length: 10_000 }, (_, i) => i / 100)
  t.same(moments.filter(now => ended(withLease(emptyState('s'), 'a', 30, now), now).length > 0), [])
})
