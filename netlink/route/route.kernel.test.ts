import { test } from 'tap'
import { anotherNamespace, lacks, lacksKind, observe, ownNamespace } from '#tools/kernel.ts'

test('rtnetlink, seen with ip', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const pod = anotherNamespace(t)

  t.test('a veth pair is born in two namespaces, under its final names', async t => {
    host.link.add({ name: 'br0', mtu: 1400, address: '02:00:00:00:00:01', up: true, info: { kind: 'bridge' } })
    const bridge = host.link.get('br0')
    const peer = { name: 'eth0', mtu: 1400, netnsFd: pod.fd, address: '02:00:00:00:00:02' }
    host.link.add({ name: 'v0', mtu: 1400, master: bridge.index, up: true, info: { kind: 'veth', peer } })
    host.link.set(host.link.get('v0').index, { alias: 'fairlead:a/b/eth0' })
    t.match(observe(host, 'ip', '-j', '-d', 'link', 'show', 'v0'), [
      { master: 'br0', mtu: 1400, ifalias: 'fairlead:a/b/eth0', linkinfo: { info_kind: 'veth' } },
    ])
    t.match(pod.link.get('eth0'), {
      address: '02:00:00:00:00:02', mtu: 1400, parent: host.link.get('v0').index, up: false,
    })
    t.same(host.link.list({ master: bridge.index }).map(({ name }) => name), ['v0'])
  })

  t.test('settings of a bridge port', async t => {
    host.link.setPort(host.link.get('v0').index, { hairpin: 1, isolated: 1 })
    t.match(observe(host, 'bridge', '-j', '-d', 'link', 'show', 'dev', 'v0'), [{ hairpin: true, isolated: true }])
    t.match(host.link.get('v0').port, { hairpin: 1, isolated: 1 })
  })

  t.test('addresses and routes, several in one write', async t => {
    const { index } = pod.link.get('eth0')
    pod.requestAll([
      pod.addr.adding({ index, address: '10.1.2.3/24' }),
      pod.addr.adding({ index, address: 'fd00::3/64', noDad: true }),
      pod.link.setting(index, { up: true }),
      pod.route.adding({
        dst: '192.0.2.0/24', dev: index, via: '10.1.2.1', priority: 5, mtu: 1300, advmss: 1200, table: 1000,
      }),
      pod.route.adding({ dst: '::/0', dev: index, via: 'fd00::1' }),
    ])
    const seen = observe(pod, 'ip', '-j', 'route', 'show', 'table', 'all')
    t.match(seen, [
      { dst: '192.0.2.0/24', gateway: '10.1.2.1', metric: 5, table: '1000', metrics: [{ mtu: 1300, advmss: 1200 }] },
    ])
    t.match(observe(pod, 'ip', '-j', 'address', 'show', 'eth0'), [
      { addr_info: [{ local: '10.1.2.3', prefixlen: 24, broadcast: '10.1.2.255' }, { local: 'fd00::3' }] },
    ])
    t.ok(pod.route.list().some(route => route.dst === '192.0.2.0/24' && route.table === 1000 && route.mtu === 1300))
    t.ok(pod.route.list().some(route => route.dst === '::/0' && route.via === 'fd00::1'))
  })

  t.test('a route with several next hops is as many routes', async t => {
    host.link.add({ name: 'hop0', up: true, info: { kind: 'veth', peer: { name: 'hop1' } } })
    const [hop0, hop1] = ['hop0', 'hop1'].map(name => host.link.get(name).index)
    host.requestAll([hop0!, hop1!].map(index => host.link.setting(index, { up: true })))
    host.addr.add({ index: hop0!, address: 'fd00:9::1/64' })
    host.addr.add({ index: hop1!, address: 'fd00:8::1/64' })
    host.route.add({ dst: '2001:db8::/32', dev: hop0!, via: 'fd00:9::2' })
    host.route.add({ dst: '2001:db8::/32', dev: hop1!, via: 'fd00:8::2' })
    t.match(observe(host, 'ip', '-6', '-j', 'route', 'show', '2001:db8::/32'), [{ nexthops: [{}, {}] }])
    const found = host.route.list().filter(({ dst }) => dst === '2001:db8::/32')
    t.match(found, [{ dev: hop0, via: 'fd00:9::2' }, { dev: hop1, via: 'fd00:8::2' }])
  })

  t.test('a subnet that the kernel makes no route to', async t => {
    const { index } = pod.link.get('eth0')
    pod.addr.add({ index, address: '10.6.0.2/24', noPrefixRoute: true })
    pod.addr.add({ index, address: 'fd00:6::2/64', noPrefixRoute: true, noDad: true })
    const unwanted = ['10.6.0.0/24', 'fd00:6::/64']
    t.same(pod.route.list().filter(({ dst }) => unwanted.includes(dst)), [])
    const route = { dst: '10.6.0.1/32', dev: index, scope: 253 }
    pod.requestAll([pod.route.addingNew(route)])
    t.throws(() => pod.requestAll([pod.route.addingNew(route)]), { code: 'EEXIST' })
  })

  t.test('of several requests the first refusal is told, and the others are done', async t => {
    const { index } = pod.link.get('eth0')
    const twice = [
      pod.addr.adding({ index, address: '10.1.2.3/24' }),
      pod.addr.adding({ index, address: '10.1.2.4/24' }),
    ]
    t.throws(() => pod.requestAll(twice), { name: 'NetlinkError', code: 'EEXIST', message: /addr add 10\.1\.2\.3\/24/ })
    t.ok(pod.addr.list(index).some(({ address }) => address === '10.1.2.4/24'))
  })

  t.test('a refusal carries the errno name and the kernel\'s own words', async t => {
    t.throws(() => host.link.add({ name: 'vx0', info: { kind: 'vxlan', id: 1 << 24 } }), {
      name: 'NetlinkError', code: 'ERANGE', reason: /VXLAN ID/,
    })
    t.throws(() => host.link.get('nothing0'), { code: 'ENODEV' })
    t.equal(host.link.find('nothing0'), undefined)
    t.equal(host.link.remove('nothing0'), false)
  })

  const skip = lacksKind(host, 'dummy') ? false : 'this kernel has dummy'
  t.test('a kind that the kernel lacks', { skip }, async t => {
    t.throws(() => host.link.add({ name: 'd0', info: { kind: 'dummy' } }), { code: 'EOPNOTSUPP' })
    t.equal(host.link.supports('dummy'), false)
  })

  t.test('asking for a kind makes nothing', async t => {
    const before = host.link.list().length
    for (const kind of ['bridge', 'veth', 'macvlan', 'vxlan'] as const) t.equal(host.link.supports(kind), true, kind)
    t.equal(host.link.list().length, before)
  })

  t.test('a dump of many links is complete', async t => {
    for (let i = 0; i < 100; i++) {
      host.link.add({ name: `many${i}`, info: { kind: 'veth', peer: { name: `peer${i}` } } })
    }
    t.equal(host.link.list().filter(({ name }) => /^(many|peer)\d/.test(name)).length, 200)
  })
})
