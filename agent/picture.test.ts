// What a picture makes of listings and events.
import { test } from 'tap'
import { alive, blockKey, clusterKey, hosts, settledKey, staticKey } from './layout.ts'
import { Picture } from './picture.ts'
import type { Entry, Event } from './store/store.ts'

const entry = (key: string, value: unknown): Entry =>
  ({ key, value: typeof value === 'string' ? value : JSON.stringify(value), revision: 1, created: 1 })
const put = (key: string, value: unknown): Event => ({ kind: 'put', entry: entry(key, value) })
const gone = (key: string): Event => ({ kind: 'removed', key, revision: 2 })
const host = (id: string, number: number): [string, object] =>
  [hosts.key(id), { vtep4: `192.0.2.${number}`, mac: `02:00:00:00:00:0${number}`, token: id }]
const block = (text: string, id: string): [string, object] => [blockKey('blue', text), { host: id, block: text }]
const peer = (number: number, ...prefixes: string[]) =>
  ({ vtep: `192.0.2.${number}`, mac: `02:00:00:00:00:0${number}`, prefixes })

const begun = (): Picture => {
  const picture = new Picture('me')
  picture.replace([
    entry(clusterKey, 'c'), entry(settledKey, 'c'),
    entry(...host('me', 1)), entry(...host('a', 2)), entry(...host('b', 3)),
    entry(alive.key('a'), 'a'), entry(...block('10.1.1.0/24', 'me')), entry(...block('10.1.2.0/24', 'a')),
  ], true)
  return picture
}

void test('a listing', async t => {
  const picture = begun()
  t.same(picture.cluster, { id: 'c', settled: true })
  t.same(picture.peersIn('blue'), [peer(2, '10.1.2.0/24')], 'neither ourselves nor hosts without a part')
  t.same(picture.vteps.sort(), ['192.0.2.2', '192.0.2.3'])
  t.same([picture.hostCount, [...picture.alive]], [3, ['a']])
  t.same(picture.peersIn('red'), [])
})

void test('whom to ask', async t => {
  const picture = begun()
  t.same([...picture.attended], [], 'a host without an agent lives, and nobody answers there')
  picture.apply([{ kind: 'put', entry: { ...entry(alive.key('a'), 'a'), lease: '7' } }])
  t.same([...picture.attended], ['a'])
  picture.apply([put(alive.key('a'), 'a')])
  t.same([[...picture.alive], [...picture.attended]], [['a'], []])
  picture.apply([{ kind: 'put', entry: { ...entry(alive.key('a'), 'a'), lease: '8' } }, gone(alive.key('a'))])
  t.same([...picture.attended], [])
})

void test('keys of encryption', async t => {
  const picture = begun()
  const key = `${'A'.repeat(42)}E=`
  const wireguardOf = (extra: object) => {
    const [name, facts] = host('a', 2)
    return picture.apply([put(name, { ...facts, ...extra })]).peers[0]!.after[0]!.wireguard
  }
  t.same(wireguardOf({ wireguardKey: key, wireguardPort: 51820 }), { key, port: 51820 })
  for (const wrong of [
    {}, { wireguardKey: key }, { wireguardPort: 1 }, { wireguardKey: key, wireguardPort: 0 },
    { wireguardKey: key, wireguardPort: '7' }, { wireguardKey: key, wireguardPort: 1.5 },
    { wireguardKey: `${'A'.repeat(42)}B=`, wireguardPort: 7 }, { wireguardKey: 7, wireguardPort: 7 },
    { wireguardKey: `${key}\n${key}`, wireguardPort: 7 },
  ]) t.equal(wireguardOf(wrong), undefined, JSON.stringify(wrong))
})

void test('events', async t => {
  const picture = begun()
  t.same(picture.apply([put(...block('10.1.3.0/24', 'b'))]).peers,
    [{ network: 'blue', before: [], after: [peer(3, '10.1.3.0/24')] }])
  t.same(picture.apply([put(...block('10.1.3.0/24', 'a'))]).peers, [{
    network: 'blue', before: [peer(3, '10.1.3.0/24'), peer(2, '10.1.2.0/24')],
    after: [peer(2, '10.1.2.0/24', '10.1.3.0/24')],
  }], 'from one host to another in one step')
  const key = staticKey('blue', '10.1.1.9')
  const claim = { host: 'b', ip: '10.1.1.9', container: 'x', ifname: 'eth0' }
  t.same(picture.apply([put(key, { ...claim, granted: false })]).peers[0]?.after ?? [], [], 'not granted')
  t.same(picture.apply([put(key, { ...claim, granted: true })]).peers,
    [{ network: 'blue', before: [], after: [peer(3, '10.1.1.9/32')] }])
  const moved = picture.apply([put(hosts.key('b'), { vtep4: '192.0.2.9', mac: '02:00:00:00:00:03', token: 'b' })])
  t.same(moved.vteps, { leaving: ['192.0.2.3'], coming: ['192.0.2.9'] })
  t.same(moved.peers[0]?.after, [{ ...peer(3, '10.1.1.9/32'), vtep: '192.0.2.9' }])
  const left = picture.apply([gone(hosts.key('b')), gone(key)])
  t.same([left.vteps, left.peers[0]?.after, left.isUnclear], [{ leaving: ['192.0.2.9'], coming: [] }, [], false])
  picture.apply([put(hosts.key('twin'), { vtep4: '192.0.2.2', mac: '02:00:00:00:00:07', token: 't' })])
  const twin = picture.apply([gone(hosts.key('twin'))])
  t.same([twin.vteps.leaving, twin.isUnclear], [[], true], 'another host has the same address')
  const anew = picture.apply([
    put(hosts.key('anew'), { vtep4: '192.0.2.2', mac: '02:00:00:00:00:08' }), put(alive.key('anew'), 't'),
    put(...block('10.1.8.0/24', 'anew')), gone(alive.key('a')),
  ])
  t.ok(anew.isUnclear)
  t.same(picture.peersIn('blue').map(({ mac }) => mac).at(-1), '02:00:00:00:00:08', 'whoever is alive counts')
  picture.apply([put(alive.key('a'), 't'), gone(alive.key('anew'))])
  t.same(picture.peersIn('blue').map(({ mac }) => mac).at(-1), '02:00:00:00:00:02')
  t.same(picture.apply([put('/fairlead/v2/x', 'y'), put(hosts.key('z'), 'no JSON')]).peers, [])
})

void test('what no agent writes', async t => {
  const picture = begun()
  for (const facts of [
    { vtep4: 7 }, { vtep4: 'x' }, { vtep4: '192.0.2.03' }, { vtep4: '2001:db8::1' }, { vtep6: '2001:DB8::1' },
    { vtep4: '239.1.1.1' }, { vtep4: '127.0.0.2' }, { vtep4: '0.0.0.0' }, { vtep4: '255.255.255.255' },
    { vtep6: '::' }, { vtep6: 'fe80::1' }, { vtep6: 'ff02::1' }, { vtep6: '::ffff:192.0.2.9' }, null, [], 'x',
  ]) {
    picture.apply([put(hosts.key('c'), facts && { mac: '02:00:00:00:00:09', ...facts as object }),
      put(...block('10.1.9.0/24', 'c'))])
    t.same([picture.vtepOf('c'), picture.peersIn('blue').length], [undefined, 1], JSON.stringify(facts))
  }
  for (const mac of [5, '', '02:00', '01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00', '0200.0000.0009']) {
    picture.apply([put(hosts.key('c'), { vtep4: '192.0.2.9', mac })])
    t.same(picture.peersIn('blue').length, 1, JSON.stringify(mac))
  }
  picture.apply([put(hosts.key('c'), { vtep4: '192.0.2.9', mac: '02:00:00:00:00:09' })])
  picture.apply([gone(blockKey('blue', '10.1.9.0/24'))])
  const claims: readonly (readonly [string, object])[] = [
    [blockKey('blue', '10.1.9.0/24'), { host: 'c', block: '10.1.2.0/24' }],
    [blockKey('blue', '10.1.9.0/24'), { host: 'c', block: '10.1.9.7/24' }],
    [blockKey('blue', '10.1.9.0/24'), { host: ['c'], block: '10.1.9.0/24' }],
    [`${blockKey('blue', '10.1.9.0/24')}0`, { host: 'c', block: '10.1.9.0/24' }],
    [staticKey('blue', '10.1.9.1'), { host: 'c', ip: '10.1.2.1', granted: true }],
    [staticKey('blue', '10.1.9.1'), { host: 'c', ip: '10.1.9.1', granted: 'yes' }],
    ['/fairlead/v1/nets/../blocks/0a010900-24', { host: 'c', block: '10.1.9.0/24' }],
  ]
  for (const [key, value] of claims) {
    picture.apply([put(key, value)])
    t.same(picture.peersIn('blue').length, 1, `${key} ${JSON.stringify(value)}`)
    picture.apply([gone(key)])
  }
  t.notOk(picture.networks.has('..'))
})

void test('a store that was wiped', async t => {
  const picture = begun()
  picture.replace([], false)
  t.same(picture.peersIn('blue'), [peer(2, '10.1.2.0/24')], 'what was known stays')
  t.equal(picture.alive.size, 0)
  t.ok(picture.isDoubtful)
  picture.replace([entry(clusterKey, 'c'), entry(...host('b', 3)), entry(...block('10.1.2.0/24', 'b'))], false)
  t.same(picture.peersIn('blue'), [peer(3, '10.1.2.0/24')], 'unless it is somebody else\'s now')
  picture.apply([put(...host('a', 2))])
  t.ok(picture.has('a'))
  picture.dropDoubtful()
  t.ok(picture.has('a'), 'it has come back')
  t.notOk(picture.has('me'))
  t.notOk(picture.isDoubtful)
  picture.replace([], true)
  t.same([picture.hostCount, picture.peersIn('blue')], [0, []])
})
