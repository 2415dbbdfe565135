// etcd in trouble: members that die, freeze or lose each other, passwords, and certificates.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { Authority } from '#tools/certificates.ts'
import { startEtcd, type EtcdMember } from '#tools/etcd.ts'
import { lacks, ownNamespace } from '#tools/kernel.ts'
import { Backoff } from './backoff.ts'
import type { Certificates } from './endpoint.ts'
import { Etcd } from './etcd.ts'
import { Gateway, type Access } from './etcd-gateway.ts'
import { follow } from './follow.ts'
import { isTrouble } from './store-error.ts'
import { absent, put } from './transaction.ts'

const never = new AbortController().signal
const skip = lacks('etcd') || lacks('openssl')

const connect = (t: Test, access: Access): Etcd => {
  const store = new Etcd({ ...access }, '/test/cluster')
  t.teardown(() => { store.close() })
  return store
}

const leaderOf = async (members: readonly EtcdMember[]): Promise<EtcdMember> => {
  for (const member of members) {
    const { leader, header } = await (await fetch(`${member.url}/v3/maintenance/status`,
      { method: 'POST', body: '{}' })).json() as { leader: string; header: { member_id: string } }
    if (leader === header.member_id) return member
  }
  throw new Error('nobody leads')
}

void test('three members', { skip }, async t => {
  ownNamespace(t)
  const cluster = await startEtcd(t, { members: 3 })
  const access = { endpoints: cluster.endpoints, timeout: 1000 }
  const store = connect(t, access)
  const seen = new Set<string>()
  const troubles: string[] = []
  const leaving = new AbortController()
  const following = (async () => {
    for await (const update of follow(store, '/test/', leaving.signal, new Backoff(50))) {
      if (update.kind === 'trouble') troubles.push(update.error.trouble)
      if (update.kind === 'listing') for (const { key } of update.listing.entries) seen.add(key)
      if (update.kind !== 'changes') continue
      for (const event of update.changes.events) if (event.kind === 'put') seen.add(event.entry.key)
    }
  })()
  /** Writes until it is done, as somebody does who looks after a lost answer. */
  const write = async (key: string): Promise<void> => {
    for (;;) {
      try {
        const { succeeded, current } = await store.commit([absent(key)], [put(key, '')])
        if (succeeded || current.has(key)) return
      } catch (error) {
        if (!isTrouble(error, 'unknown', 'unreachable')) throw error
        await setTimeout(20)
      }
    }
  }
  const isSeen = async (key: string): Promise<void> => {
    for (let i = 0; i < 500 && !seen.has(key); i++) await setTimeout(10)
    t.ok(seen.has(key), key)
  }
  await write('/test/1')
  await isSeen('/test/1')
  const leader = await leaderOf(cluster.members)
  let begun = performance.now()
  await leader.stop()
  await write('/test/2')
  const written = performance.now() - begun
  await isSeen('/test/2')
  const all = performance.now() - begun
  t.comment(`leader killed: written after ${written.toFixed(0)} ms, seen after ${all.toFixed(0)} ms`)
  leader.start()
  await leader.ready()
  const next = await leaderOf(cluster.members)
  next.freeze(true)
  begun = performance.now()
  await write('/test/3')
  t.comment(`leader frozen: written after ${(performance.now() - begun).toFixed(0)} ms`)
  next.freeze(false)
  await isSeen('/test/3')
  const [first, second, third] = cluster.members
  for (const member of [first!, second!]) await member.stop()
  troubles.length = 0
  await t.rejects(store.commit([], [put('/test/4', '')]), { name: 'StoreError' }, 'one of three is no majority')
  const alone = connect(t, { ...access, endpoints: [third!.url] })
  await t.rejects(alone.list('/test/'), { name: 'StoreError', trouble: 'unreachable' })
  for (let i = 0; i < 300 && troubles.length === 0; i++) await setTimeout(10)
  t.ok(troubles.includes('unreachable'), 'a watch on a member that has lost the others ends')
  for (const member of [first!, second!]) member.start()
  await write('/test/5')
  await isSeen('/test/5')
  leaving.abort()
  await following
})

void test('passwords', { skip }, async t => {
  ownNamespace(t)
  const cluster = await startEtcd(t, { args: ['--auth-token-ttl', '1'] })
  const { endpoints } = cluster
  const admin = new Gateway({ endpoints, user: { name: 'root', password: 'secret' } })
  t.teardown(() => { admin.close() })
  const call = async (path: string, body: object) => await admin.call(`/v3/auth/${path}`, body, 'repeatable')
  const early = connect(t, { endpoints, user: { name: 'agent', password: 'word' } })
  t.same((await early.list('/test/')).entries, [], 'a password that nobody asks for does not matter')
  const [key, range_end] = ['/test/', '/test0'].map(text => Buffer.from(text).toString('base64'))
  for (const name of ['root', 'agent']) {
    await call('role/add', { name })
    await call('user/add', { name, password: name === 'root' ? 'secret' : 'word' })
    await call('user/grant', { user: name, role: name })
  }
  await call('role/grant', { name: 'agent', perm: { permType: 'READWRITE', key, range_end } })
  await call('enable', {})
  const store = connect(t, { endpoints, user: { name: 'agent', password: 'word' } })
  t.ok((await store.commit([absent('/test/a')], [put('/test/a', '')])).succeeded)
  t.equal((await early.list('/test/')).entries.length, 1, 'who came before there were passwords logs in')
  const start = await store.list('/test/')
  const leaving = new AbortController()
  const seen: string[] = []
  const watching = (async () => {
    for await (const { events } of store.watch('/test/', start, leaving.signal)) seen.push(...events.map(e => e.kind))
  })()
  await setTimeout(2600)
  t.ok((await store.commit([absent('/test/b')], [put('/test/b', '')])).succeeded, 'the token has expired')
  t.same((await (await store.lease(5)).keepAlive()), true)
  await setTimeout(100)
  t.same(seen, ['put'], 'the watch goes on')
  leaving.abort()
  await watching
  await setTimeout(1500)
  for await (const { events } of store.watch('/test/', start, never)) {
    if (events.length > 0) break
  }
  t.pass('another watch logs in')
  await cluster.stop()
  await cluster.start()
  t.equal((await store.list('/test/')).entries.length, 2, 'the member that gave the token is another one now')
  await t.rejects(store.list('/other/'), { name: 'StoreError', trouble: 'refused', message: /permission denied/ })
  const wrong = connect(t, { endpoints, user: { name: 'agent', password: 'wrong' } })
  await t.rejects(wrong.list('/test/'), { name: 'StoreError', trouble: 'refused', message: /authentication failed/ })
  const anonymous = connect(t, { endpoints })
  await t.rejects(anonymous.list('/test/'), { name: 'StoreError', trouble: 'refused' }, 'without any')
})

/** Asks for passwords from now on. */
const allow = async (t: Test, endpoints: readonly string[], tls: Certificates): Promise<void> => {
  const admin = new Gateway({ endpoints, tls })
  t.teardown(() => { admin.close() })
  const [name, password] = ['root', 'secret']
  for (const [path, body] of Object.entries({
    'role/add': { name }, 'user/add': { name, password }, 'user/grant': { user: name, role: name }, 'enable': {},
  })) await admin.call(`/v3/auth/${path}`, body, 'repeatable')
}

void test('certificates', { skip }, async t => {
  ownNamespace(t)
  const authority = new Authority(t)
  const server = authority.issue('server', ['IP:127.0.0.1'])
  const client = authority.issue('client')
  const args = ['--cert-file', server.cert, '--key-file', server.key, '--trusted-ca-file', authority.cert]
  const { endpoints } = await startEtcd(t, { scheme: 'https', args: [...args, '--client-cert-auth'] })
  const ca = authority.text(authority.cert)
  const tls = { ca, cert: authority.text(client.cert), key: authority.text(client.key) }
  const store = connect(t, { endpoints, tls })
  t.ok((await store.commit([absent('/test/a')], [put('/test/a', '')])).succeeded)
  const leaving = new AbortController()
  let stands = 0
  for await (const _ of store.watch('/test/', await store.list('/test/'), leaving.signal)) {
    if (stands++ === 0) await store.commit([], [put('/test/b', '')])
    else break
  }
  t.equal(stands, 2)
  const refused = { name: 'StoreError', trouble: 'unreachable', message: /certificate/ }
  await t.rejects(connect(t, { endpoints, tls: { ca } }).list('/test/'), refused, 'we show none')
  await t.rejects(connect(t, { endpoints }).commit([], [put('/test/c', '')]), refused, 'we do not know the authority')
  await allow(t, endpoints, tls)
  const named = connect(t, { endpoints, tls, user: { name: 'root', password: 'secret' } })
  await t.rejects(named.list('/test/'),
    { name: 'StoreError', trouble: 'refused', message: /HTTP status 400: CommonName .* without a common name/ })
  const nameless = authority.issue('nameless', [], '/O=hosts')
  const both = { ca, cert: authority.text(nameless.cert), key: authority.text(nameless.key) }
  const user = { name: 'root', password: 'secret' }
  t.equal((await connect(t, { endpoints, tls: both, user }).list('/test/')).entries.length, 2, 'with both')
  await t.rejects(connect(t, { endpoints, tls: both }).list('/test/'), { name: 'StoreError', trouble: 'refused' })
  const other = new Authority(t)
  const foreign = { ...tls, ca: other.text(other.cert) }
  await t.rejects(connect(t, { endpoints, tls: foreign }).list('/test/'), refused, 'it is not the one we know')
})

const listening = async (t: Test, server: Server): Promise<string> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

void test('what cannot be reached', async t => {
  const nobody = 'http://127.0.0.1:1'
  let asked = 0
  const silent = await listening(t, createServer(() => { asked++ }))
  const broken = await listening(t, createServer((_, response) => { response.writeHead(502).end('<html>') }))
  const change = [put('/test/a', '')]
  const fails = (endpoints: string[], trouble: string, message: RegExp) => {
    const store = connect(t, { endpoints, timeout: 800 })
    return t.rejects(store.commit([], change), { name: 'StoreError', trouble, message })
  }
  await fails([nobody, nobody], 'unreachable', /ECONNREFUSED.*; .*ECONNREFUSED/)
  await fails([nobody, silent], 'unknown', /no answer in 800 ms/)
  t.equal(asked, 1, 'a change is not sent twice')
  await fails([broken], 'unknown', /HTTP status 502/)
  for (const [text, message] of [
    ['<html>', /that is no etcd: it answers "<html>"/], ['[]', /no etcd/], ['', /no etcd/], ['{}', /as etcd does/],
  ] as const) {
    const other = await listening(t, createServer((_, response) => { response.end(text) }))
    const store = connect(t, { endpoints: [other], timeout: 800 })
    await t.rejects(store.list('/'), { name: 'StoreError', message }, text)
    const position = { identity: '', revision: 1 }
    const watching = async (): Promise<void> => { for await (const _ of store.watch('/', position, never)); }
    await t.rejects(watching(), { name: 'StoreError' }, `${text}, watched`)
  }
  const all = { name: 'StoreError', trouble: 'unreachable', message: /no answer in 800 ms; .*502; .*ECONNREFUSED/ }
  await t.rejects(connect(t, { endpoints: [silent, broken, nobody], timeout: 800 }).list('/'), all, 'reading goes on')
})
