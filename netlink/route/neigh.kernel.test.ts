// Neighbours, forwarding entries and owned routes, thousands in a few writes, looked at with ip and bridge.
import { test } from 'tap'
import { kernelLacks, lacks, observe, output, ownNamespace } from '#tools/kernel.ts'
import { waysTo } from './lookup.ts'
import { Neighbours } from './neigh.ts'
import { OwnedRoutes } from './owned-route.ts'

const PROTOCOL = 203
const skip = lacks('ip') || lacks('bridge') || kernelLacks('vxlan')

test('a VXLAN device and where it sends to', { skip }, async t => {
  const host = ownNamespace(t)
  host.link.add({
    name: 'vx0', address: '02:cb:00:00:00:01', mtu: 1450, up: true,
    info: {
      kind: 'vxlan', id: 4097, port: 4789, local: '192.0.2.1', learning: 0, ttl: 32, df: 'set', udpChecksum: 1,
    },
  })
  const { index: dev } = host.link.get('vx0')
  host.requestAll([host.link.setting(dev, { up: true })])
  const neighbours = new Neighbours(host.rtnetlink)
  const routes = new OwnedRoutes(host.rtnetlink, PROTOCOL)

  t.test('as ip shows it and as we read it', async t => {
    t.match(observe(host, 'ip', '-j', '-d', 'link', 'show', 'vx0'), [{
      mtu: 1450, address: '02:cb:00:00:00:01',
      linkinfo: {
        info_kind: 'vxlan', info_data: { id: 4097, port: 4789, local: '192.0.2.1', ttl: 32, learning: false },
      },
    }])
    t.match(output(host, 'ip', ['-d', 'link', 'show', 'vx0']), /df set/)
    t.match(host.link.list({ kind: 'vxlan' }), [{ name: 'vx0', info: { id: 4097, port: 4789, local: '192.0.2.1' } }])
    const info = { kind: 'vxlan', id: 5, port: 4789, local6: '2001:db8::1', zeroChecksum6Tx: 1 } as const
    host.link.add({ name: 'vx6', info })
    t.match(host.link.get('vx6').info, { local6: '2001:db8::1', id: 5 })
    t.equal(host.link.list({ kind: 'vxlan' }).length, 2, 'no others')
    t.throws(() => host.link.add({ name: 'vx1', info: { kind: 'vxlan', id: 4097, port: 4789 } }), {
      code: 'EEXIST', reason: /VNI/,
    })
  })

  t.test('made, listed, changed and deleted', async t => {
    const [mac, other] = ['02:cb:00:00:00:02', '02:cb:00:00:00:03']
    const entries = [
      { dev, address: '192.0.2.2', mac, protocol: PROTOCOL }, { dev, address: 'fe80::2', mac, protocol: 0 },
    ]
    host.requestAll([
      ...entries.map(entry => neighbours.replacing(entry)),
      neighbours.replacingForwarding({ dev, mac, dst: '192.0.2.2' }),
      routes.adding({ dst: '10.2.0.0/24', dev, via: '192.0.2.2' }),
      routes.adding({ dst: '10.3.0.0/24', dev, via: 'fe80::2' }),
      routes.adding({ dst: 'fd00:2::/64', dev, via: 'fe80::2' }),
      routes.adding({ dst: '10.4.0.0/24', priority: 99 }),
      routes.adding({ dst: 'fd00:4::/64', priority: 99 }),
      routes.adding({ dst: '10.2.0.9/32', dev }),
    ])
    t.match(observe(host, 'ip', '-j', '-4', 'neigh', 'show', 'dev', 'vx0'), [
      { dst: '192.0.2.2', lladdr: mac, state: ['PERMANENT'], protocol: `${PROTOCOL}` },
    ])
    t.match(observe(host, 'bridge', '-j', 'fdb', 'show', 'dev', 'vx0'), [
      { mac, dst: '192.0.2.2', flags: ['self', 'extern_learn'], state: 'permanent' },
    ])
    t.match(observe(host, 'ip', '-j', 'route', 'show', 'proto', `${PROTOCOL}`), [
      { dst: '10.2.0.0/24', gateway: '192.0.2.2', dev: 'vx0', flags: ['onlink'] },
      { dst: '10.2.0.9', dev: 'vx0', scope: 'link' },
      { dst: '10.3.0.0/24', via: { family: 'inet6', host: 'fe80::2' }, dev: 'vx0' },
      { type: 'unreachable', dst: '10.4.0.0/24', metric: 99 },
    ])
    t.match(observe(host, 'ip', '-j', '-6', 'route', 'show', 'proto', `${PROTOCOL}`), [
      { dst: 'fd00:2::/64', gateway: 'fe80::2', dev: 'vx0' }, { type: 'unreachable', dst: 'fd00:4::/64', metric: 99 },
    ])
    t.same(neighbours.list(dev, 'ipv4'), [entries[0]])
    t.same(neighbours.list(dev, 'ipv6'), [entries[1]])
    t.same(neighbours.listForwarding(dev), [{ dev, mac, dst: '192.0.2.2', ours: true }])
    t.same(routes.list(), [
      { dst: '10.2.0.0/24', priority: undefined, via: '192.0.2.2', dev },
      { dst: '10.2.0.9/32', priority: undefined, via: undefined, dev },
      { dst: '10.3.0.0/24', priority: undefined, via: 'fe80::2', dev },
      { dst: '10.4.0.0/24', priority: 99, via: undefined, dev: undefined },
      { dst: 'fd00:2::/64', priority: 1024, via: 'fe80::2', dev },
      { dst: 'fd00:4::/64', priority: 99, via: undefined, dev: undefined },
    ])

    host.requestAll([
      neighbours.replacing({ ...entries[0]!, mac: other }),
      neighbours.replacingForwarding({ dev, mac, dst: '192.0.2.9' }),
      routes.replacing({ dst: '10.2.0.0/24', dev, via: '192.0.2.9' }),
      routes.replacing({ dst: 'fd00:2::/64', dev, via: 'fe80::9' }),
    ])
    t.match(neighbours.list(dev, 'ipv4'), [{ mac: other }])
    t.match(neighbours.listForwarding(dev), [{ mac, dst: '192.0.2.9' }])
    t.match(routes.list().filter(({ dst }) => ['10.2.0.0/24', 'fd00:2::/64'].includes(dst)), [
      { via: '192.0.2.9' }, { via: 'fe80::9' },
    ])

    output(host, 'ip', ['route', 'add', '10.9.0.0/24', 'via', '192.0.2.2', 'dev', 'vx0', 'onlink'])
    t.throws(() => host.requestAll([routes.deleting({ dst: '10.9.0.0/24', dev })]), { code: 'ESRCH' })
    t.throws(() => host.requestAll([routes.adding({ dst: '10.9.0.0/24', dev })]), { code: 'EEXIST' })
    host.requestAll([
      ...routes.list().map(route => routes.deleting(route)),
      neighbours.deletingForwarding({ dev, mac, dst: '192.0.2.9' }),
      ...entries.map(entry => neighbours.deleting(entry)),
    ])
    t.same([routes.list(), neighbours.listForwarding(dev), neighbours.list(dev, 'ipv4')], [[], [], []])
  })

  t.test('thousands at once, each with an answer of its own', async t => {
    const numbers = Array.from({ length: 3000 }, (_, i) => i)
    const requests = numbers.map(i =>
      routes.adding({ dst: `10.${64 + (i >> 8)}.${i & 255}.0/24`, dev, via: i % 3 === 0 ? '127.0.0.1' : '192.0.2.2' }))
    const refused = host.rtnetlink.attemptAll(requests)
    t.same(refused.map(({ request }) => requests.indexOf(request)), numbers.filter(i => i % 3 === 0))
    t.match(refused[0]?.error, { operation: 'route add 10.64.0.0/24 via 127.0.0.1', code: 'EINVAL', reason: /gateway/ })
    t.equal(routes.list().length, 2000)
    t.throws(() => host.requestAll(requests), { message: /10\.64\.0\.0/ })
    t.same(host.rtnetlink.attemptAll([]), [])
    const hopeless = numbers.map(i => routes.adding({ dst: `fd00:${i}::/64`, dev, via: '::1' }))
    t.equal(host.rtnetlink.attemptAll(hopeless).length, 3000, 'refusals do not overrun the receive buffer')
    t.equal(host.rtnetlink.attemptAll(routes.list().map(route => routes.deleting(route))).length, 0)
    t.equal(host.link.get('vx0').name, 'vx0', 'the socket is in step')
  })

  t.test('the way to an address', async t => {
    host.link.add({ name: 'up0', mtu: 1400, info: { kind: 'veth', peer: { name: 'up1' } } })
    const [up0, up1] = ['up0', 'up1'].map(name => host.link.get(name).index)
    host.requestAll([
      host.link.setting(up1!, { up: true }), host.link.setting(up0!, { up: true }),
      host.addr.adding({ index: up0!, address: '198.51.100.1/24' }),
      host.addr.adding({ index: up0!, address: '2001:db8:1::1/64', noDad: true }),
      host.route.adding({ dst: '203.0.113.0/24', dev: up0!, via: '198.51.100.9', mtu: 1300 }),
    ])
    const many = Array.from({ length: 200 }, (_, i) => `198.51.100.${i + 20}`)
    const found = waysTo(host.rtnetlink, ['203.0.113.5', '100.64.0.1', '2001:db8:1::5', '2001:db8:2::1', ...many])
    t.match(found.slice(0, 4), [
      { dev: up0, mtu: 1300 }, undefined,
      { dev: up0, mtu: undefined }, undefined,
    ])
    t.equal(found.filter(way => way?.dev === up0).length, 202)
  })
})
