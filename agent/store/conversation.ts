// For tests: one conversation with a store, the same under every runtime that the agent is run by. Its arguments name
// the store: the directory of a file store, or the endpoint of etcd and the paths of an authority, a certificate and
// its key.
import { readFileSync } from 'node:fs'
import { Etcd } from './etcd.ts'
import { FileStore } from './file.ts'
import { StoreError } from './store-error.ts'
import { absent, put, remove } from './transaction.ts'

const [where = '', ...files] = process.argv.slice(2)
const [ca, cert, key] = files.map(file => readFileSync(file, 'utf8'))
const tls = ca === undefined ? {} : { tls: { ca, cert: cert!, key: key! } }
const connect = (endpoint: string) => new Etcd({ endpoints: ['http://127.0.0.1:1', endpoint], ...tls }, '/talk/cluster')
const store = where.startsWith('http') ? connect(where) : new FileStore(where)

const seen: unknown[] = []
const tell = (what: unknown): void => { seen.push(what) }

tell((await store.commit([absent('/talk/a')], [put('/talk/a', 'ä')])).succeeded)
tell((await store.commit([absent('/talk/a')], [put('/talk/a', 'b')])).current.get('/talk/a')?.value)
const start = await store.list('/talk/')
tell(start.entries.map(({ value }) => value))
const leaving = new AbortController()
const lease = await store.lease(5)
const changes = (async () => {
  let standing = false
  for await (const { events } of store.watch('/talk/', start, leaving.signal)) {
    if (!standing) await store.commit([], [put('/talk/b', 'c', lease.id)])
    standing = true
    for (const event of events) tell(event.kind === 'put' ? event.entry.value : event.key)
    if (events.some(({ kind }) => kind === 'put')) await lease.revoke()
    if (events.some(({ kind }) => kind === 'removed')) leaving.abort()
  }
})()
await changes
tell(await lease.keepAlive())
tell((await store.commit([], [remove('/talk/a')])).succeeded)
try {
  const future = { ...start, revision: start.revision + 1000 }
  for await (const _ of store.watch('/talk/', future, AbortSignal.timeout(5000))) tell('the future')
} catch (error) {
  tell(error instanceof StoreError && error.trouble)
}
store.close()
process.stdout.write(JSON.stringify(seen))
