// Pools: networks without a tunnel, parts of one segment, and single addresses when all blocks have owners.
import { test } from 'tap'
import { ensureBlocks } from './blocks.ts'
import { borrow } from './borrowing.ts'
import { removeHost } from './departure.ts'
import { foundCluster } from './cluster.ts'
import { listNetworks } from './inventory.ts'
import { networkKey, root, vniKey } from './layout.ts'
import type { Member } from './member.ts'
import { createNetwork, removeNetwork, type PoolWish } from './network.ts'
import { rangesFor } from './network-plan.ts'
import { viewNetwork } from './network-view.ts'
import type { StaticRecord } from './records.ts'
import { answerStatics, claimStatic, releaseStatic } from './statics.ts'
import { put } from './store/transaction.ts'
import { newLab } from './trial.ts'

const pool = (subnet: string, more: object = {}): PoolWish => ({ addressing: 'pool', ranges: [{ subnet, ...more }] })
const segment = '192.168.1.0/24'

void test('in the store', async t => {
  const { lab } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'blue', { ranges: [{ subnet: '10.1.0.0/16' }] })
  t.match(await createNetwork(store, 'lan', pool(segment, { rangeStart: '192.168.1.10', rangeEnd: '192.168.1.99' })),
    { addressing: 'pool', ranges: [{ gateway: '192.168.1.1', blockLength: 29 }] })
  await createNetwork(store, 'lan2', pool(segment, { rangeStart: '192.168.1.100' }))
  const refused: readonly (readonly [PoolWish, string, RegExp])[] = [
    [pool(segment, { rangeStart: '192.168.1.99', rangeEnd: '192.168.1.99' }), 'taken',
      /network new: 192\.168\.1\.99-192\.168\.1\.99 overlaps 192\.168\.1\.10-192\.168\.1\.99 of lan/],
    [pool('10.1.2.0/24'), 'taken', /subnet 10\.1\.2\.0\/24 overlaps 10\.1\.0\.0\/16 of blue/],
    [pool('224.0.0.0/24'), 'invalid', /ranges\[0\]\.subnet 224\.0\.0\.0\/24 has addresses of 224\.0\.0\.0\/3/],
    [pool('10.2.0.1/24'), 'invalid', /ranges\[0\]\.subnet 10\.2\.0\.1\/24 has host bits/],
  ]
  for (const [wish, obstacle, message] of refused)
    await t.rejects(createNetwork(store, 'new', wish), { name: 'OverlayError', obstacle, message })
  const wide = createNetwork(store, 'red', { ranges: [{ subnet: '192.168.0.0/16' }] })
  await t.rejects(wide, { name: 'OverlayError', obstacle: 'taken' })
  t.match((await listNetworks(store)).find(({ network }) => network === 'lan'), { capacity: 12, blocks: [] })

  const member = await lab.join('h1')
  await ensureBlocks(member, 'lan')
  // The store loses everything; whoever knows the pool brings it back, without a VNI.
  for (const { key } of (await store.list(root)).entries) await store.commit([], [{ remove: key }])
  await lab.join('h1')
  t.match(await viewNetwork(await lab.join('h1'), 'lan'), { config: { addressing: 'pool' } })
  t.same((await store.list(vniKey(0).slice(0, -6))).entries, [])
  await removeHost(store, 'h1', true)
  await removeNetwork(store, 'lan')
  await foundCluster(store)
})

void test('blocks that are of use', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'lan', pool('192.168.1.0/26', { rangeStart: '192.168.1.20', blockLength: 28 }))
  const exclude = ['192.168.1.32/28']
  const owned = await Promise.all(['h1', 'h2', 'h3'].map(async host =>
    ensureBlocks(await lab.join(host), 'lan', { exclude })))
  t.same(owned.flat().sort(), ['192.168.1.16/28', '192.168.1.48/28'], 'not the first, not the excluded one')
  t.equal(owned.filter(blocks => blocks.length === 0).length, 1, 'who gets none has a part all the same')
  const late = await lab.join('h4')
  t.same(await ensureBlocks(late, 'lan'), ['192.168.1.32/28'], 'who does not exclude it can have it')
})

void test('single addresses of others', async t => {
  const { lab } = await newLab(t)
  await createNetwork(lab.store, 'lan', pool('192.168.1.0/28', { blockLength: 29 }))
  const [one, two, poor] = await Promise.all(['h1', 'h2', 'h3'].map(host => lab.join(host)))
  for (const member of [one!, two!, poor!]) await ensureBlocks(member, 'lan')
  t.same(poor!.share('lan')?.blocks, [])
  const used = new Set(['192.168.1.2', '192.168.1.3', '192.168.1.4'])
  const granted = new Set<string>()
  const owners = setInterval(() => {
    for (const member of [one!, two!]) void answerStatics(member, 'lan', ({ ip }: StaticRecord) => {
      if (used.has(ip) && !granted.has(ip)) return false
      used.add(ip)
      granted.add(ip)
      return true
    }).catch(() => undefined)
  }, 5)
  t.teardown(() => { clearInterval(owners) })
  const { config } = await viewNetwork(poor!, 'lan')
  const range = rangesFor(config, ['192.168.1.9'])[0]!
  const ask = (member: Member, i: number) =>
    borrow(member, 'lan', range, { container: `c${i}`, ifname: 'eth0' }, host => host !== 'silent')
  // Every address is found, in whatever order they are tried.
  const lent: string[] = []
  for (let i = 0; i < 9; i++) lent.push(await ask(poor!, i))
  const all = [5, 6, 7, 8, 10, 11, 12, 13, 14].map(last => `192.168.1.${last}`)
  t.same(lent.toSorted(), all.toSorted(), 'neither gateway, nor edge, nor excluded, nor in use')
  await t.rejects(ask(poor!, 9), { name: 'OverlayError', message: /has an owner, and of 3 addresses none is free/ })
  await releaseStatic(poor!, 'lan', '192.168.1.7')
  granted.delete('192.168.1.7')
  used.delete('192.168.1.7')
  t.equal(await ask(poor!, 10), '192.168.1.7')
  await t.rejects(borrow(poor!, 'lan', range, { container: 'x', ifname: 'eth0' }, () => false),
    { name: 'OverlayError', obstacle: 'exhausted', message: /there is no other host to ask/ })
})

void test('what no agent would write', async t => {
  const { lab } = await newLab(t)
  const { store } = lab
  const holder = { container: 'c1', ifname: 'eth0' }
  const ranges = [
    { subnet: '192.168.1.0/28' }, { subnet: '192.168.1.0/28', blockLength: 29 },
    { subnet: '192.168.1.0/28', rangeStart: '192.168.1.3', blockLength: null },
    { subnet: '192.168.1.0/28', gateway: 5 }, { subnet: '192.168.1.0/28', blockLength: '29' },
    { subnet: '192.168.1.0/28', blockLength: 29, rangeStart: 'x', rangeEnd: [] },
  ]
  for (const range of ranges) {
    const text = JSON.stringify(range)
    await store.commit([], [put(networkKey('lan'), JSON.stringify({ addressing: 'pool', ranges: [range] }))])
    const member = await lab.join('h1')
    for (const step of [
      () => ensureBlocks(member, 'lan'), () => claimStatic(member, 'lan', '192.168.1.9', holder),
      () => answerStatics(member, 'lan', () => true),
    ]) await step().catch((error: unknown) => { t.match(error, { name: 'OverlayError' }, text) })
    await createNetwork(store, 'other', pool('10.7.0.0/24'))
    await listNetworks(store)
    await removeHost(store, 'h1', true)
    for (const name of ['lan', 'other']) await removeNetwork(store, name)
    lab.disks.delete('h1')
  }
  for (const config of [{ addressing: 'flat' }, { addressing: 'flat', vni: 7 }, { addressing: 'flat', port: 4789 }]) {
    await store.commit([], [put(networkKey('net'), JSON.stringify({ ...config, ranges: [{ subnet: '10.8.0.0/16' }] }))])
    await t.rejects(viewNetwork(await lab.join('h1'), 'net'), { name: 'OverlayError', obstacle: 'no-network' })
  }
})
