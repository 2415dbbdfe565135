// How large a packet may be, with ways of several widths.
import { test } from 'tap'
import { anotherNamespace, connect, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { overlayMtu } from './overlay-mtu.ts'

test('the MTU of an overlay', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  for (const [name, mtu, addresses] of [
    ['up0', 9000, ['192.0.2.1/24', '2001:db8::1/64']], ['up1', 1400, ['198.51.100.1/24']],
  ] as const) {
    connect({ ns: host, name, addresses }, { ns: anotherNamespace(t), name, addresses: [] })
    host.link.set(host.link.get(name).index, { mtu })
  }
  const mtu = (...others: readonly string[]): number => overlayMtu(host, '192.0.2.1', others).mtu
  t.equal(mtu(), 8950, 'alone: that of its own link')
  t.equal(overlayMtu(host, '2001:db8::1', []).mtu, 8930)
  t.equal(overlayMtu(host, '127.0.0.1', []).mtu, 1450, 'a loopback says nothing')
  t.equal(overlayMtu(host, '203.0.113.1', []).mtu, 1450, 'nor does an address that is not there')
  t.equal(mtu('192.0.2.2'), 8950)
  t.equal(mtu('192.0.2.2', '2001:db8::2'), 8930)
  t.match(overlayMtu(host, '192.0.2.1', ['192.0.2.2', '198.51.100.2', '203.0.113.9']), {
    mtu: 1350, narrowest: '198.51.100.2', unreachable: ['203.0.113.9'],
  })
  t.equal(overlayMtu(host, '192.0.2.1', ['192.0.2.2', '198.51.100.2'], 'wireguard').mtu, 1340)
  t.equal(overlayMtu(host, '192.0.2.1', ['2001:db8::2'], 'wireguard').mtu, 8920)
  output(host, 'ip', ['route', 'add', '192.0.2.3', 'dev', 'up0', 'mtu', '1300'])
  t.equal(mtu('192.0.2.2', '192.0.2.3'), 1250, 'a route that says less than its link')
  output(host, 'ip', ['route', 'add', 'unreachable', '192.0.2.4'])
  output(host, 'ip', ['-6', 'route', 'add', 'blackhole', '2001:db8::4'])
  t.match(overlayMtu(host, '192.0.2.1', ['192.0.2.4', '2001:db8::4']), {
    mtu: 8950, narrowest: undefined, unreachable: ['192.0.2.4', '2001:db8::4'],
  })
  const many = Array.from({ length: 5000 }, (_, i) => `192.0.2.${i % 250 + 5}`)
  const start = performance.now()
  t.equal(mtu(...many), 8950)
  t.comment(`5,000 ways: ${Math.round(performance.now() - start)} ms`)
})
