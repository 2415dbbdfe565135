// The dummy driver, seen with ip and packets.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { kernelLacks, lacks, observe, output, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { dummy } from './dummy.ts'

const ipv4 = '10.9.0.0/24'
const ipv6 = 'fd00:9::/64'

test('a kernel without dummy links', {
  skip: lacks('ip') || (kernelLacks('dummy') === false && 'this one has them'),
}, async t => {
  const node = new Node(t, dummy, {}, ipv4)
  const pod = node.pod()
  t.throws(() => node.call('STATUS', undefined), { code: 50, message: /dummy/ })
  t.throws(() => node.call('ADD', pod), { code: 'EOPNOTSUPP', message: /type dummy/ })
  t.same(pod.link.list().map(({ name }) => name), ['lo'])
})

test('dummy', { skip: lacks('ip') || lacks('ping') || kernelLacks('dummy') }, async t => {
  t.test('a link with addresses and routes, on which the container answers', async t => {
    const node = new Node(t, dummy, { mtu: 1400, mac: '02:00:00:00:00:01' })
    const pod = node.pod()
    const routes = [{ dst: '0.0.0.0/0', mtu: 1300, priority: 50 }, { dst: '::/0' }, { dst: '192.0.2.0/24', table: 100 }]
    const config = node.config({ ipam: { ...node.ipam(ipv4, ipv6), routes } })
    const begun = Date.now()
    const result = node.call('ADD', pod, config)
    t.ok(Date.now() - begun < 2000, 'without waiting for neighbours')
    t.match(result, {
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: pod.path }],
      ips: [{ address: '10.9.0.2/24', interface: 0 }, { address: 'fd00:9::2/64', interface: 0 }],
    })
    t.match(observe(pod, 'ip', '-d', '-j', 'link', 'show', 'eth0'), [
      { mtu: 1400, address: '02:00:00:00:00:01', linkinfo: { info_kind: 'dummy' } },
    ])
    t.match(observe(pod, 'ip', '-j', 'route', 'show', 'default'), [
      { gateway: '10.9.0.1', metric: 50, metrics: [{ mtu: 1300 }] },
    ])
    t.match(observe(pod, 'ip', '-j', 'route', 'show', 'table', '100'), [{ dst: '192.0.2.0/24' }])
    for (const address of ['10.9.0.2', 'fd00:9::2']) t.ok(reaches(pod, address), address)
    t.notOk(pings(pod, '10.9.0.1'), 'what leaves by it is gone')
    node.call('CHECK', pod, { ...config, prevResult: result })
    node.call('DEL', pod, config)
    t.equal(pod.link.find('eth0'), undefined)
    t.same(node.recorded(), [])
    node.call('DEL', pod, config)
    t.same(node.links, [], 'the host has nothing of it')
  })

  t.test('others reach the addresses through another link of the container', async t => {
    const node = new Node(t, dummy, {}, ipv4)
    const there = node.uplink({ own: ['198.51.100.1/24'], there: ['198.51.100.2/24'] })
    node.call('ADD', there, node.config(), { ifName: 'lo0' })
    node.host.route.add({ dst: ipv4, via: '198.51.100.2', dev: node.host.link.get('up0').index })
    t.ok(reaches(node.host, '10.9.0.2'))
    output(there, 'ip', ['link', 'del', 'lo0'])
    t.notOk(pings(node.host, '10.9.0.2'))
  })

  t.test('DNS settings: those of the configuration, else those of IPAM', async t => {
    const ipam = { type: 'static', addresses: [{ address: '10.9.0.2/24' }], dns: { nameservers: ['10.9.0.1'] } }
    const node = new Node(t, dummy, { ipam })
    t.match(node.call('ADD', node.pod()), { dns: { nameservers: ['10.9.0.1'] } })
    const own = { domain: 'inner' }
    const result = node.call('ADD', node.pod(), node.config({ dns: own }))
    t.match(result, { dns: { domain: 'inner', nameservers: undefined } })
  })

  t.test('CHECK sees what is not as it was, DEL leaves alone what is no dummy', async t => {
    const node = new Node(t, dummy, {}, ipv4)
    const pod = node.pod()
    const result = node.call('ADD', pod)
    const check = (): void => void node.call('CHECK', pod, node.config({ prevResult: result }))
    check()
    pod.link.set(pod.link.get('eth0').index, { up: false })
    t.throws(check, { code: 102, message: /eth0 is "down"/ })
    pod.link.remove('eth0')
    pod.link.add({ name: 'eth0', up: true, info: { kind: 'bridge' } })
    t.throws(check, { code: 102 })
    node.call('DEL', pod)
    t.ok(pod.link.find('eth0'))
    t.same(node.recorded(), [])
  })

  t.test('what cannot be is refused and leaves nothing', async t => {
    const node = new Node(t, dummy, {}, ipv4)
    const pod = node.pod()
    const refused: [Json, RegExp][] = [
      [{ ipam: {} }, /ipam\.type is missing/], [{ mtu: 20 }, /mtu 20/], [{ mac: 'zz' }, /mac "zz"/],
      [{ mtu: 1000, ipam: node.ipam(ipv6) }, /mtu 1000 is too small/],
    ]
    for (const [keys, message] of refused) {
      t.throws(() => node.call('ADD', pod, node.config(keys)), { code: 7, message }, message.source)
    }
    t.throws(() => node.call('STATUS', undefined, node.config({ ipam: {} })), { code: 7, message: /ipam/ })
    t.same(pod.link.list().map(({ name }) => name), ['lo'])
    node.call('STATUS', undefined)
    node.call('ADD', pod)
    t.throws(() => node.call('ADD', pod, node.config(), { containerId: 'c2' }), { code: 103 })
    node.call('DEL', undefined)
    t.same(node.recorded(), [], 'without a namespace the address is free all the same')
  })
})
