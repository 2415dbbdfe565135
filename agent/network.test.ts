import { test } from 'tap'
import { claimBlock, ensureBlocks, releaseBlock } from './blocks.ts'
import { createNetwork, networksIn, removeNetwork, type NetworkWish } from './network.ts'
import { alive, hosts, networkKey, nets, root } from './layout.ts'
import { put, remove } from './store/transaction.ts'
import { Lab, newLab } from './trial.ts'

const range = (subnet: string, blockLength?: number) =>
  ({ ranges: [{ subnet, ...blockLength === undefined ? {} : { blockLength } }] })

void test('what is left out', async t => {
  const { lab: { store } } = await newLab(t)
  const wish = { ranges: [{ subnet: '10.1.0.0/16' }, { subnet: 'fd00::/48' }] }
  t.match(await createNetwork(store, 'plain', wish), {
    addressing: 'hostSubnet', port: 4789, ranges: [{ blockLength: 24 }, { blockLength: 64 }],
  })
  t.match(await createNetwork(store, 'flat', { ...range('10.2.0.0/16'), addressing: 'flat', port: 8472, vni: 7 }), {
    addressing: 'flat', port: 8472, vni: 7, ranges: [{ blockLength: 26 }],
  })
})

void test('what cannot be', async t => {
  const { lab: { store } } = await newLab(t)
  const wrong: readonly (readonly [NetworkWish, RegExp])[] = [
    [{ ranges: [] }, /^ranges is empty/],
    [range('10.1.0.0'), /^ranges\[0\]\.subnet "10\.1\.0\.0" is no subnet/],
    [range('10.1.0.1/16'), /^ranges\[0\]\.subnet 10\.1\.0\.1\/16 has host bits/],
    [range('10.1.0.0/16', 15), /^ranges\[0\]\.blockLength 15 does not cut/],
    [range('10.1.0.0/16', 31), /blockLength 31/],
    [{ ranges: [{ subnet: '10.1.0.0/16' }, { subnet: '10.1.2.0/24' }] }, /overlaps ranges\[0\]/],
    [{ ...range('10.1.0.0/16'), vni: 2 ** 24 }, /^vni 16777216 is not/],
    [{ ...range('10.1.0.0/16'), encryption: 'rot13' as 'none' }, /^encryption "rot13" is not known/],
    [{ ...range('10.1.0.0/16'), encryption: 'wireguard', port: 4789 }, /^port 4789 with encryption wireguard/],
    [{ ...range('10.1.0.0/16'), port: 65536 }, /^port 65536 is not from 1 to 65535/],
    [{ ...range('10.1.0.0/16'), mtu: 5 }, /^mtu 5 is not from 576/],
    [{ ...range('fd00::/48'), mtu: 1279 }, /^mtu 1279 is not from 1280/],
    ...['0.0.0.0/0', '127.0.0.0/16', '224.0.0.0/16', 'fe80::/48', 'ff05::/48', '::/0'].map(subnet =>
      [range(subnet, 124), /subnet \S+ has addresses of \S+, which no container can have/] as const),
  ]
  for (const [wish, message] of wrong)
    await t.rejects(createNetwork(store, 'net', wish), { name: 'OverlayError', obstacle: 'invalid', message })
  await t.rejects(createNetwork(store, 'a/b', range('10.1.0.0/16')), { name: 'OverlayError', obstacle: 'invalid' })
  t.same((await store.list(nets.prefix)).entries, [])
})

void test('many at once: one gets the VNI, one gets the addresses, one gets the name', async t => {
  const { lab: { store } } = await newLab(t)
  const race = async (wish: (i: number) => Promise<unknown>): Promise<number> => {
    const made = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => wish(i)))
    for (const attempt of made) if (attempt.status === 'rejected') t.equal(attempt.reason.obstacle, 'taken')
    return made.filter(({ status }) => status === 'fulfilled').length
  }
  t.equal(await race(i => createNetwork(store, `vni${i}`, { ...range(`10.${i}.0.0/16`), vni: 5000 })), 1)
  const subnetOf = (i: number): string => i % 2 ? '172.16.0.0/12' : `172.16.${i}.0/24`
  t.ok(await race(i => createNetwork(store, `wide${i}`, range(subnetOf(i), 28))) > 0)
  t.equal(await race(i => createNetwork(store, 'name', range(`192.168.${i}.0/24`, 28))), 1)
  const made = [...networksIn((await store.list(root)).entries).values()].map(({ value }) => JSON.parse(value))
  const vnis = made.map(({ vni }) => vni as number)
  t.equal(new Set(vnis).size, vnis.length, 'automatic ones differ, too')
  const wide = made.map(({ ranges }) => ranges[0].subnet as string).filter(subnet => subnet.startsWith('172'))
  t.ok(!wide.includes('172.16.0.0/12') || wide.length === 1)
})

void test('removal', async t => {
  const { lab } = await newLab(t)
  const { store } = lab
  await createNetwork(store, 'net', { ...range('10.1.0.0/16'), vni: 5000 })
  const member = await lab.join('h1')
  const cut = { subnet: '10.1.0.0/16', blockLength: 24 }
  const block = await claimBlock(member, 'net', cut)
  const used = { name: 'OverlayError', obstacle: 'taken', message: /has addresses on h1/ }
  await t.rejects(removeNetwork(store, 'net'), used)
  await releaseBlock(member, 'net', block)
  const [removed, claimed] = await Promise.allSettled([removeNetwork(store, 'net'), claimBlock(member, 'net', cut)])
  t.not(removed.status, claimed.status, 'either it is removed, or it has a block')
  if (claimed.status === 'fulfilled') {
    await releaseBlock(member, 'net', claimed.value)
    await removeNetwork(store, 'net')
  }
  t.same((await store.list(nets.prefix)).entries, [])
  await t.rejects(removeNetwork(store, 'net'), { name: 'OverlayError', obstacle: 'no-network' })
  await createNetwork(store, 'net', { ...range('10.1.0.0/16'), vni: 5000 })
})

void test('a configuration that nobody can read', async t => {
  const { lab: { store } } = await newLab(t)
  for (const value of ['', '}', 'null', '[]', '{}', '{"vni":7,"addressing":"flat","ranges":[{"subnet":5}]}',
    '{"vni":"x","port":1,"addressing":"flat","ranges":[{"subnet":"10.1.0.0/16","blockLength":24}]}',
    '{"vni":7,"addressing":"flat","ranges":[{"subnet":"10.1.0.0/16","blockLength":99}]}']) {
    await store.commit([], [put(networkKey('net'), value)])
    t.same([...networksIn((await store.list(root)).entries)], [], value)
    await t.rejects(ensureBlocks(await new Lab(store).join('h1'), 'net'),
      { name: 'OverlayError', obstacle: 'no-network', message: /what the store holds of network net/ })
    await t.rejects(createNetwork(store, 'net', range('10.1.0.0/16')), { name: 'OverlayError', obstacle: 'taken' })
    await createNetwork(store, 'other', range('10.1.0.0/16'))
    await removeNetwork(store, 'other')
    await removeNetwork(store, 'net')
    t.same((await store.list(nets.prefix)).entries, [])
    await store.commit([], [remove(hosts.key('h1')), remove(alive.key('h1'))])
  }
})
