// Stores that lose what they knew: old owners get back what was theirs, and nobody else gets it meanwhile.
import { cpSync, rmSync } from 'node:fs'
import { test } from 'tap'
import { claimBlock, ensureBlocks } from './blocks.ts'
import { clusterIn, foundCluster, HoldDown, settle } from './cluster.ts'
import { root } from './layout.ts'
import { createNetwork } from './network.ts'
import { viewNetwork } from './network-view.ts'
import type { Store } from './store/store.ts'
import { newLab } from './trial.ts'

const small = { subnet: '10.1.0.0/24', blockLength: 28 }
const flat = { addressing: 'flat', ranges: [small], vni: 5000 } as const
const unsettled = { name: 'OverlayError', obstacle: 'unsettled' }

const isSettled = async (store: Store): Promise<boolean | undefined> => clusterIn(await store.list(root))?.settled

void test('hold-down', async t => {
  const holdDown = new HoldDown(60_000)
  const [open, done] = [{ id: 'a', settled: false }, { id: 'a', settled: true }]
  t.equal(holdDown.seen(undefined, 0), undefined)
  t.equal(holdDown.seen(open, 1000), 60_000)
  t.equal(holdDown.seen(open, 31_000), 30_000)
  t.equal(holdDown.seen({ id: 'b', settled: false }, 32_000), 60_000, 'another one')
  t.equal(holdDown.seen({ id: 'b', settled: false }, 99_000), 0)
  t.equal(holdDown.seen(done, 99_000), undefined)
  t.equal(holdDown.seen(open, 99_001), 60_000, 'anew')
})

void test('a cluster is made once', async t => {
  const { lab: { store } } = await newLab(t)
  const ids = await Promise.all(Array.from({ length: 10 }, () => foundCluster(store)))
  t.equal(new Set(ids).size, 1)
  t.equal(await isSettled(store), true)
})

void test('the store is wiped', async t => {
  const { lab, path } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'net', flat)
  const names = Array.from({ length: 12 }, (_, i) => `h${i}`)
  const before = await Promise.all(names.map(async name => await ensureBlocks(await lab.join(name), 'net')))
  rmSync(path, { recursive: true })
  await t.rejects(lab.join('fresh'), { name: 'OverlayError', obstacle: 'no-cluster' }, 'a new host cannot tell')
  const first = await lab.join('h0')
  t.equal(await isSettled(store), false)
  t.same(first.share('net')?.blocks, before[0], 'what an old host has is its own at once')
  await t.rejects(claimBlock(first, 'net', small), unsettled, 'but it gets no more')
  const fresh = await lab.join('fresh')
  await t.rejects(ensureBlocks(fresh, 'net'), unsettled)
  t.match((await viewNetwork(fresh, 'net')).config, { vni: 5000 }, 'networks come back with the hosts that know them')
  await Promise.all(names.slice(1).map(name => lab.join(name)))
  t.same(names.map(name => lab.blocksOf(name, 'net')), before)
  await settle(store, first.cluster)
  const [block] = await ensureBlocks(fresh, 'net')
  t.notOk(before.flat().includes(block!), 'a block that nobody had')
  t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] })
})

void test('a host that comes back too late', async t => {
  const { lab, path } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'net', { ...flat, ranges: [{ subnet: '10.1.0.0/28', blockLength: 29 }] })
  const tiny = { subnet: '10.1.0.0/28', blockLength: 29 }
  const [late] = await ensureBlocks(await lab.join('late'), 'net')
  const punctual = await lab.join('punctual')
  await ensureBlocks(punctual, 'net')
  rmSync(path, { recursive: true })
  const again = await lab.join('punctual')
  await settle(store, again.cluster)
  t.equal(await claimBlock(again, 'net', tiny), late)
  const back = await lab.join('late')
  t.same(back.share('net'), { ...back.share('net'), blocks: [], lost: [late] }, 'it knows that its block is lost')
  t.same(lab.shared('net'), [])
})

void test('a backup is restored', async t => {
  const { lab, path } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'net', flat)
  await ensureBlocks(await lab.join('h1'), 'net')
  cpSync(path, `${path}.backup`, { recursive: true })
  const late = await lab.join('h2')
  const own = [await claimBlock(late, 'net', small), await claimBlock(late, 'net', small)].sort()
  await lab.join('h2')
  rmSync(path, { recursive: true })
  cpSync(`${path}.backup`, path, { recursive: true })
  t.equal(await isSettled(store), true, 'it looks as if nothing had happened')
  const back = await lab.join('h2')
  t.equal(await isSettled(store), false, 'until somebody comes who has seen more')
  t.same(back.share('net')?.blocks, own)
  await t.rejects(ensureBlocks(await lab.join('h3'), 'net'), unsettled)
  await settle(store, back.cluster)
  await ensureBlocks(await lab.join('h3'), 'net')
  t.strictSame(await lab.differences('net'), { wrong: [], leaked: [] })
})

void test('another cluster', async t => {
  const { lab, path } = await newLab(t)
  await createNetwork(lab.store, 'net', flat)
  const member = await lab.join('h1')
  rmSync(path, { recursive: true })
  await foundCluster(lab.store)
  const foreign = { name: 'OverlayError', obstacle: 'foreign-cluster' }
  await t.rejects(lab.join('h1'), foreign)
  await t.rejects(viewNetwork(member, 'net'), { name: 'OverlayError', obstacle: 'no-network' })
  await createNetwork(lab.store, 'net', flat)
  await t.rejects(claimBlock(member, 'net', small), foreign, 'a member that has not noticed yet')
})
