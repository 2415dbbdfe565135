// What the kernel should hold about peers, without a kernel.
import { test } from 'tap'
import { entriesFor, linkLocalOf, metricOf } from './overlay-peer.ts'

const [mac, link] = ['02:cb:00:00:00:02', 'fe80::cb:ff:fe00:2']
const prefixes = ['10.210.2.0/24', '10.210.7.9/32', 'fd00:210:2::/64']

test('the link-local address of a hardware address', async t => {
  t.equal(linkLocalOf(mac), link)
  t.equal(linkLocalOf('00:1b:21:3c:9d:f8'), 'fe80::21b:21ff:fe3c:9df8')
  t.throws(() => linkLocalOf('nonsense'), RangeError)
})

test('metrics spread, and are the same for the same prefix', async t => {
  const all = Array.from({ length: 5000 }, (_, i) => `10.${64 + (i >> 8)}.${i & 255}.0/24`)
  const counts = new Map<number, number>()
  for (const prefix of all) counts.set(metricOf(prefix), (counts.get(metricOf(prefix)) ?? 0) + 1)
  t.ok(Math.min(...counts.keys()) >= 1 && Math.max(...counts.keys()) <= 1023)
  t.ok(Math.max(...counts.values()) < 100, `${Math.max(...counts.values())} of 5000 have the same`)
  t.equal(metricOf('10.210.2.0/24'), metricOf('10.210.2.0/24'))
})

test('gateways: the tunnel end where both are IPv4', async t => {
  const entries = entriesFor([{ vtep: '192.0.2.2', mac, prefixes }], 7)
  t.same([...entries.neighbours], [['192.0.2.2', mac], [link, mac]])
  t.same([...entries.forwarding], [[mac, ['192.0.2.2']]])
  t.same([...entries.routes.values()], [
    { dst: '10.210.2.0/24', dev: 7, via: '192.0.2.2', priority: metricOf('10.210.2.0/24') },
    { dst: '10.210.7.9/32', dev: 7, via: '192.0.2.2', priority: metricOf('10.210.7.9/32') },
    { dst: 'fd00:210:2::/64', dev: 7, via: link, priority: metricOf('fd00:210:2::/64') },
  ])
  t.same([...entriesFor([{ vtep: '192.0.2.2', mac, prefixes: ['10.1.0.0/24'] }], 7).neighbours.keys()], ['192.0.2.2'])
})

test('gateways: one link-local address for everything over IPv6', async t => {
  const entries = entriesFor([{ vtep: '2001:db8::2', mac, prefixes }], 7)
  t.same([...entries.neighbours], [[link, mac]])
  t.same(new Set([...entries.routes.values()].map(({ via }) => via)), new Set([link]))
})

test('of a dead host only the routes are others', async t => {
  const entries = entriesFor([{ vtep: '192.0.2.2', mac, prefixes, unreachable: true }], 7)
  t.same([...entries.unreachable], prefixes)
  t.equal(entries.routes.size, 0)
  t.equal(entries.forwarding.size, 1)
  const heir = { vtep: '192.0.2.3', mac: '02:cb:00:00:00:03', prefixes: [prefixes[0]!] }
  const both = entriesFor([{ vtep: '192.0.2.2', mac, prefixes, unreachable: true }, heir], 7)
  t.notOk(both.unreachable.has(prefixes[0]!), 'of two claims the later counts')
})
