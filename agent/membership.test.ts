// Names of hosts, signs of life, and leaving for good.
import { mkdtempSync, rmSync } from 'node:fs'
import { test } from 'tap'
import { claimBlock, ensureBlocks } from './blocks.ts'
import { ClockWatch } from './clock-watch.ts'
import { freeOrphans, removeHost } from './departure.ts'
import { becomeJanitor, sweep } from './janitor.ts'
import { alive, hosts, missing } from './layout.ts'
import { join, publish, stayAlive } from './membership.ts'
import { memoryFile, type Memory, type MemoryKeeper } from './memory.ts'
import { createNetwork } from './network.ts'
import { get } from './store/lookup.ts'
import { put, remove } from './store/transaction.ts'
import { newLab, type Lab } from './trial.ts'

const small = { subnet: '10.1.0.0/24', blockLength: 28 }
const flat = { addressing: 'flat', ranges: [small], vni: 5000 } as const

const keeper = (): MemoryKeeper => {
  let memory: Memory | undefined
  return { read: () => memory, write(next) { memory = next } }
}

const silence = async ({ store }: Lab, host: string): Promise<void> => {
  await store.commit([], [remove(alive.key(host))])
}

void test('a host is one machine', async t => {
  const { lab } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'net', flat)
  const first = keeper()
  const { member } = await join(store, first, 'web', { vtep4: '192.0.2.1' })
  const [block] = await ensureBlocks(member, 'net')
  t.match(JSON.parse((await get(store, hosts.key('web')))!.value), { vtep4: '192.0.2.1', token: member.memory.token })
  await join(store, first, 'web', {})
  t.pass('the same machine, again')
  const second = keeper()
  await t.rejects(join(store, second, 'web', {}),
    { name: 'OverlayError', obstacle: 'host-taken', message: /another machine that is running is host web/ })
  await silence(lab, 'web')
  const anew = await join(store, second, 'web', {})
  t.same(anew.member.share('net')?.blocks, [block], 'a machine that was set up anew gets what its name has')
  const removed = { name: 'OverlayError', obstacle: 'removed' }
  await t.rejects(claimBlock(member, 'net', small), removed, 'the first one gets nothing any more')
  await t.rejects(publish(member, {}), removed)
  await t.rejects(join(store, first, 'web', {}), { name: 'OverlayError', obstacle: 'host-taken' })
  await t.rejects(join(store, first, 'other', {}), { name: 'OverlayError', obstacle: 'invalid' })
})

void test('a machine that was copied', async t => {
  const { lab } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'net', flat)
  const [original, copy] = [keeper(), keeper()]
  const { member } = await join(store, original, 'web', { vtep4: '192.0.2.1', boot: 'a' })
  await ensureBlocks(member, 'net')
  copy.write(original.read()!)
  await t.rejects(join(store, copy, 'web', { vtep4: '192.0.2.2', boot: 'b' }),
    { name: 'OverlayError', obstacle: 'host-taken', message: /a copy of this machine is running as host web/ })
  await join(store, original, 'web', { vtep4: '192.0.2.3', boot: 'a' })
  t.pass('another address')
  await join(store, original, 'web', { vtep4: '192.0.2.3', boot: 'c' })
  t.pass('another start')
  await silence(lab, 'web')
  await join(store, original, 'web', { vtep4: '192.0.2.4', boot: 'd' })
  t.pass('both, after a while')
})

void test('signs of life', async t => {
  const { lab: { store } } = await newLab(t)
  const { member, lease } = await join(store, keeper(), 'h1', {})
  t.equal(await stayAlive(member, lease), lease)
  await lease.revoke()
  t.equal(await get(store, alive.key('h1')), undefined)
  await store.commit([], [put(missing.key('h1'), '{"since":1}')])
  const next = await stayAlive(member, lease)
  t.equal((await get(store, alive.key('h1')))?.lease, next.id)
  t.equal(await get(store, missing.key('h1')), undefined)
  await publish(member, { mtu: 9000 })
  t.match(await get(store, hosts.key('h1')), { value: /"mtu":9000/ })
  await removeHost(store, 'h1', true)
  await next.revoke()
  await t.rejects(stayAlive(member, next), { name: 'OverlayError', obstacle: 'removed' })
})

void test('a host is removed and its addresses go to others at once', async t => {
  const { lab } = await newLab(t)
  const { store } = lab
  const tiny = { subnet: '10.1.0.0/29', blockLength: 29 }
  await createNetwork(store, 'net', { ...flat, ranges: [tiny] })
  const [block] = await ensureBlocks(await lab.join('h1'), 'net')
  const other = await lab.join('h10')
  const exhausted = { name: 'OverlayError', obstacle: 'exhausted', message: /every block of/ }
  await t.rejects(ensureBlocks(other, 'net'), exhausted)
  await t.rejects(removeHost(store, 'h1'), { name: 'OverlayError', obstacle: 'alive' })
  await silence(lab, 'h1')
  t.ok(await removeHost(store, 'h1'))
  t.notOk(await removeHost(store, 'h1'), 'there is none any more')
  t.same(await lab.hosts(), ['h10'])
  t.same(await ensureBlocks(other, 'net'), [block])
  const back = await lab.join('h1')
  t.same([back.share('net')?.blocks, back.share('net')?.lost], [[], [block]])
  t.same(lab.shared('net'), [])
})

void test('a removal that was interrupted', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const member = await lab.join('h1')
  for (let i = 0; i < 5; i++) await claimBlock(member, 'net', small)
  await lab.store.commit([], [remove(hosts.key('h1'))])
  await t.rejects(claimBlock(member, 'net', small), { name: 'OverlayError', obstacle: 'removed' })
  t.equal(await freeOrphans(lab.store), 5)
  t.equal(await freeOrphans(lab.store), 0)
  const back = await lab.join('h1')
  t.equal(back.share('net')?.blocks.length, 5, 'whoever is back before others came has all')
})

void test('the janitor', async t => {
  const { lab } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'net', flat)
  for (const name of ['h1', 'h2', 'h3']) await ensureBlocks(await lab.join(name), 'net')
  const [lease, other] = [await store.lease(60), await store.lease(60)]
  t.ok(await becomeJanitor(store, 'h1', lease))
  t.ok(await becomeJanitor(store, 'h1', lease), 'it is one already')
  t.notOk(await becomeJanitor(store, 'h2', other))
  await silence(lab, 'h2')
  await silence(lab, 'h3')
  const day = 24 * 3600_000
  t.same(await sweep(store, 'h1', 5 * day), [])
  t.same(await sweep(store, 'h1', 6 * day - 1), [], 'not yet')
  await lab.join('h2')
  await silence(lab, 'h2')
  t.same(await sweep(store, 'h2', 6 * day), [], 'h2 is not the janitor')
  t.same(await sweep(store, 'h1', 6 * day), ['h3'], 'h2 has been back in between')
  t.same(await lab.hosts(), ['h1', 'h2'])
  t.same((await lab.differences('net')).wrong.map(text => text.split(' ')[0]), ['h3'])
  await sweep(store, 'h1', 1 * day)
  t.same(await sweep(store, 'h1', 2 * day - 1), [], 'a clock that was wrong')
  t.same(await sweep(store, 'h1', 9 * day, day, true), [], 'a clock that was set')
  t.same(await sweep(store, 'h1', 10 * day - 1), [])
  t.same(await sweep(store, 'h1', 10 * day), ['h2'])
  await lease.revoke()
  t.ok(await becomeJanitor(store, 'h2', other))
})

void test('a clock that is set', async t => {
  const watch = new ClockWatch()
  t.ok(watch.isSet(1_000_000, 0), 'nobody knows yet')
  t.notOk(watch.isSet(1_005_000, 5000))
  t.notOk(watch.isSet(1_019_000, 10_000), 'it is slewed')
  t.ok(watch.isSet(9_000_000, 15_000))
  t.notOk(watch.isSet(9_005_000, 20_000))
  t.ok(watch.isSet(5_000_000, 25_000), 'backwards')
})

void test('memory on a disk', async t => {
  const place = mkdtempSync('/tmp/fairlead-memory-')
  t.teardown(() => { rmSync(place, { recursive: true }) })
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const file = `${place}/agent/state.json`
  const { member } = await join(lab.store, memoryFile(file), 'h1', {})
  await ensureBlocks(member, 'net')
  t.same(memoryFile(file).read(), member.memory)
  t.same((await join(lab.store, memoryFile(file), 'h1', {})).member.share('net'), member.share('net'))
})
