// The host-device driver in namespaces of its own, seen with ip and packets.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { plug, seen } from '#tools/card.ts'
import { lacks, lacksKind, observe, output, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { hostDevice } from './host-device.ts'

const MAC = '02:00:00:00:00:01'
const SUBNETS = ['10.1.2.0/24', 'fd00:1::/64']

const skip = lacks('ip') || lacks('ping')

test('host-device', { skip }, async t => {
  const node = new Node(t, hostDevice, { device: 'card0' }, ...SUBNETS)
  const { host } = node
  plug(t, host, 'card0', MAC)
  const before = seen(host)

  t.test('the container talks through the device, and DEL brings it home as it was', async t => {
    const pod = node.pod()
    const config = node.config({ mtu: 1400, mac: '02:00:00:00:00:aa' })
    const result = node.call('ADD', pod, config)
    t.match(result, {
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:aa', mtu: 1400, sandbox: pod.path }],
      ips: [{ address: '10.1.2.2/24', interface: 0 }, { address: 'fd00:1::2/64', interface: 0 }],
    })
    t.equal(host.link.find('card0'), undefined)
    for (const address of ['10.1.2.250', 'fd00:1::fa']) t.ok(pings(pod, address), address)
    t.match(observe(pod, 'ip', '-j', 'link', 'show', 'eth0'), [{ ifalias: 'card0' }], 'as the reference notes it')
    node.call('CHECK', pod, { ...config, prevResult: result })
    node.call('DEL', pod)
    t.same(seen(host), before)
    t.same(node.recorded(), [])
    node.call('DEL', pod)
    node.call('DEL', undefined)
    t.same(seen(host), before)
  })

  t.test('it comes home from under another name, beside a link that has taken its own', async t => {
    const pod = node.pod()
    const result = node.call('ADD', pod)
    output(pod, 'ip', ['link', 'set', 'eth0', 'down'])
    output(pod, 'ip', ['link', 'set', 'eth0', 'name', 'renamed0'])
    pod.link.add({ name: 'card0', info: { kind: 'bridge' } })
    t.throws(() => node.call('CHECK', pod, node.config({ prevResult: result })), { code: 102, message: /renamed0/ })
    t.throws(() => node.call('ADD', pod), { code: 103, message: /renamed0/ })
    node.call('DEL', pod)
    t.same(seen(host), before)
    t.equal(pod.link.find('renamed0'), undefined)
  })

  t.test('a device that is down, without alias and addresses of IPAM, is so afterwards', async t => {
    plug(t, host, 'card1', '02:00:00:00:00:02')
    host.link.set(host.link.get('card1').index, { up: false, alias: '' })
    const earlier = seen(host)
    const [pod, config] = [node.pod(), node.config({ device: 'card1', ipam: undefined })]
    t.match(node.call('ADD', pod, config), { interfaces: [{ name: 'eth0' }] })
    t.ok(pod.link.get('eth0').up)
    node.call('DEL', pod, config)
    t.same(seen(host), earlier)
    host.link.remove('card1')
  })

  t.test('by hardware address, by alternative name, and what is refused', async t => {
    output(host, 'ip', ['link', 'property', 'add', 'dev', 'card0', 'altname', 'a-name-longer-than-any-link-has'])
    const earlier = seen(host)
    const named = { hwaddr: MAC.toUpperCase(), altname: 'a-name-longer-than-any-link-has' }
    for (const config of [{ device: undefined, hwaddr: named.hwaddr }, { device: named.altname }]) {
      const pod = node.pod()
      node.call('ADD', pod, node.config(config))
      t.ok(pings(pod, '10.1.2.250'))
      node.call('DEL', pod, node.config(config))
      t.same(seen(host), earlier)
    }
    output(host, 'ip', ['link', 'property', 'del', 'dev', 'card0', 'altname', named.altname])
    host.link.add({ name: 'br0', info: { kind: 'bridge' } })
    const { index: master } = host.link.get('br0')
    host.link.add({ name: 'port0', master, info: { kind: 'veth', peer: { name: 'port1' } } })
    const refused = [
      [{ device: undefined }, 7, /no device/], [{ device: 'lo' }, 7, /loopback/], [{ device: 'port0' }, 7, /br0/],
      [{ device: undefined, hwaddr: '02:zz' }, 7, /hwaddr/], [{ device: 'card9' }, 50, /card9/],
      [{ device: undefined, kernelpath: '/etc' }, 7, /kernelpath/],
      [{ device: undefined, kernelpath: '/sys/devices/../class' }, 7, /kernelpath/],
      [{ device: undefined, pciBusID: '../../x' }, 7, /pciBusID/],
      [{ mac: '01:00:00:00:00:01' }, 7, /mac/], [{ mtu: 60 }, 7, /mtu 60/],
    ] as const
    for (const [config, code, message] of refused) {
      t.throws(() => node.call('ADD', node.pod(), node.config(config)), { code, message }, `${message}`)
    }
    for (const name of ['br0', 'port0']) host.link.remove(name)
    t.same(seen(host), before)
    t.same(node.recorded(), [])
  })

  t.test('two containers want it: one has it, and the other is told', async t => {
    const [one, two] = [node.pod(), node.pod()]
    node.call('ADD', one)
    t.throws(() => node.call('ADD', two, node.config(), { containerId: 'c2' }), { message: /card0/ })
    node.call('DEL', two, node.config(), { containerId: 'c2' })
    t.ok(pings(one, '10.1.2.250'), 'DEL of the second leaves the first alone')
    t.equal(node.recorded().length, 2)
    node.call('DEL', one)
    t.same(seen(host), before)
  })

  t.test('a failed ADD takes everything back', async t => {
    const [pod, other] = [node.pod(), node.pod()]
    const ipam = { type: 'host-local', dataDir: node.leases, subnet: '10.1.2.0/32' }
    const cases = [{ mtu: 1000 }, { mac: '02:00:00:00:00:bb', ipam }, { mtu: 1400, ipam }]
    for (const config of cases) {
      t.throws(() => node.call('ADD', pod, node.config(config)), `${JSON.stringify(config)}`)
      t.same(seen(host), before)
    }
    // The kernel refuses the move, or renames only when the move has been made.
    pod.link.add({ name: 'clash', info: { kind: 'bridge' } })
    for (const altname of ['clash', 'eth0']) {
      output(host, 'ip', ['link', 'property', 'add', 'dev', 'card0', 'altname', altname])
      t.throws(() => node.call('ADD', pod), { code: 100, message: /card0 cannot go .* EEXIST/ })
      output(host, 'ip', ['link', 'property', 'del', 'dev', 'card0', 'altname', altname])
      t.same(seen(host), before)
    }
    other.link.add({ name: 'eth0', info: { kind: 'bridge' } })
    t.throws(() => node.call('ADD', other), { code: 103 })
    node.call('DEL', other)
    t.ok(other.link.find('eth0'), 'what is not ours stays')
    t.same(seen(host), before)
    t.same(node.recorded(), [])
  })

  t.test('CHECK tells what has changed, and STATUS what is missing', async t => {
    const pod = node.pod()
    const config = node.config({ mtu: 1400 })
    const previous = { ...config, prevResult: node.call('ADD', pod, config) }
    const { index } = pod.link.get('eth0')
    const check = () => node.call('CHECK', pod, previous)
    check()
    const breakages: (readonly [Json, Json, RegExp])[] = [
      [{ mtu: 1300 }, { mtu: 1400 }, /mtu/], [{ up: false }, { up: true }, /down/],
      [{ address: '02:00:00:00:00:ee' }, { address: MAC }, /mac/],
    ]
    for (const [change, restore, message] of breakages) {
      pod.link.set(index, change)
      t.throws(check, { code: 102, message })
      pod.link.set(index, restore)
      check()
    }
    for (const name of pod.link.get('eth0').altNames ?? []) pod.link.removeAltName(name)
    check()
    pod.link.set(index, { alias: '' })
    t.throws(check, { code: 102, message: /not the device/ })
    pod.link.set(index, { alias: 'card0' })
    node.call('DEL', pod, config)
    t.equal(host.link.get('card0').up, false, 'without the marks only the name is known')
    host.link.set(host.link.get('card0').index, { up: true, mtu: 1450, alias: before[1]?.['ifalias'] as string })
    t.same(seen(host), before)
    node.call('STATUS', undefined)
    t.throws(() => node.call('STATUS', undefined, node.config({ device: 'card9' })), { code: 50, message: /card9/ })
    t.throws(() => node.call('STATUS', undefined, node.config({ device: undefined })), { code: 7 })
    node.call('STATUS', undefined, node.config({ device: undefined, capabilities: { deviceID: true } }))
  })

  t.test('a container that is a host itself lends on what it has been lent', async t => {
    const [middle, inner] = [node.pod(), node.pod()]
    node.call('ADD', middle)
    const nested = node.config({ device: 'eth0' })
    middle.run(() => node.call('ADD', inner, nested, { containerId: 'inner', ifName: 'net1' }))
    t.ok(pings(inner, '10.1.2.250'))
    middle.run(() => node.call('DEL', inner, nested, { containerId: 'inner', ifName: 'net1' }))
    t.match(observe(middle, 'ip', '-j', 'link', 'show', 'eth0'), [{ ifalias: 'card0' }])
    node.call('DEL', middle)
    t.same(seen(host), before)
  })

  t.test('a macvlan link is as good as a card', { skip: lacksKind(host, 'macvlan') }, async t => {
    host.link.add({ name: 'mv0', parent: host.link.get('card0').index, info: { kind: 'macvlan', mode: 'bridge' } })
    const [pod, config] = [node.pod(), node.config({ device: 'mv0' })]
    node.call('ADD', pod, config)
    t.ok(pings(pod, '10.1.2.250'))
    node.call('DEL', pod, config)
    t.ok(host.link.remove('mv0'))
    t.same(seen(host), before)
  })
})
