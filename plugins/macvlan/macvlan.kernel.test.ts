// The macvlan driver on a network with a neighbour outside, seen with ip and packets.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, observe, output, ownNamespace, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { macvlan } from './macvlan.ts'

const skip = lacks('ip') || lacks('ping') || kernelLacks('macvlan')

const ipv4 = '10.7.0.0/24'
const ipv6 = 'fd00:7::/64'
const outside = ['10.7.0.200', 'fd00:7::c8']

type Test = Parameters<typeof ownNamespace>[0]

/** A host at 10.7.0.100, a neighbour outside at 10.7.0.200, containers from 10.7.0.2 on. */
const plugged = (t: Test, basis: Json = {}): { node: Node; there: Namespace } => {
  const node = new Node(t, macvlan, { master: 'up0', ...basis }, ipv4, ipv6)
  const there = node.uplink({
    own: ['10.7.0.100/24', 'fd00:7::64/64'],
    there: outside.map(address => `${address}/${address.includes(':') ? 64 : 24}`),
  })
  return { node, there }
}

const attach = (node: Node, count: number, config: Json = node.config()): Namespace[] =>
  Array.from({ length: count }, (_, i) => {
    const pod = node.pod()
    node.call('ADD', pod, config, { containerId: `c${i}` })
    return pod
  })

test('macvlan', { skip }, async t => {
  t.test('bridge mode: containers and the network reach each other, the host does not', async t => {
    const { node, there } = plugged(t)
    const config = node.config({ mtu: 1400 })
    const [one, two] = [node.pod(), node.pod()]
    const result = node.call('ADD', one, config)
    t.match(result, {
      interfaces: [{ name: 'eth0', mtu: 1400, sandbox: one.path }],
      ips: [{ address: '10.7.0.2/24', interface: 0 }, { address: 'fd00:7::2/64', interface: 0 }],
    })
    node.call('ADD', two, config, { containerId: 'c2' })
    for (const address of [...outside, '10.7.0.3', 'fd00:7::3']) t.ok(pings(one, address), `to ${address}`)
    for (const address of ['10.7.0.2', 'fd00:7::2']) t.ok(pings(there, address), `from outside to ${address}`)
    t.notOk(pings(one, '10.7.0.100'), 'the kernel keeps a parent and its links apart')
    t.match(observe(one, 'ip', '-j', '-d', 'link', 'show', 'eth0'), [
      { mtu: 1400, linkinfo: { info_kind: 'macvlan', info_data: { mode: 'bridge' } } },
    ])
    node.call('CHECK', one, { ...config, prevResult: result })
    const other = { ...config, mode: 'vepa', prevResult: result }
    t.throws(() => node.call('CHECK', one, other), { code: 102, message: /mode/ })
    node.call('DEL', one, config)
    t.equal(one.link.find('eth0'), undefined)
    node.call('DEL', undefined, config, { containerId: 'c2' })
    t.same(node.recorded(), [])
    t.same(node.links, ['up0'])
  })

  t.test('private mode: containers reach the network and not each other', async t => {
    const { node } = plugged(t, { mode: 'private' })
    const [one] = attach(node, 2)
    for (const address of outside) t.ok(pings(one!, address), `to ${address}`)
    for (const address of ['10.7.0.3', 'fd00:7::3']) t.notOk(pings(one!, address), `to ${address}`)
  })

  t.test('vepa mode: containers reach each other only if the switch sends frames back', async t => {
    const { node, there } = plugged(t, { mode: 'vepa' })
    const [one] = attach(node, 2)
    t.ok(pings(one!, '10.7.0.200'))
    t.notOk(pings(one!, '10.7.0.3'))
    // The neighbour becomes a switch whose port sends back what came in.
    there.link.add({ name: 'switch0', up: true, info: { kind: 'bridge' } })
    const port = there.link.get('out0').index
    there.link.set(port, { master: there.link.get('switch0').index })
    there.link.setPort(port, { hairpin: 1 })
    t.ok(reaches(one!, '10.7.0.3'), 'as soon as the port forwards')
  })

  t.test('passthru mode: the parent is one container\'s, with the parent\'s address', async t => {
    const { node } = plugged(t, { mode: 'passthru' })
    const [one] = attach(node, 1)
    t.ok(pings(one!, '10.7.0.200'))
    t.equal(one!.link.get('eth0').address, node.host.link.get('up0').address)
    t.throws(() => node.call('ADD', node.pod(), node.config(), { containerId: 'c9' }), { message: /up0.*passthru/ })
    t.same(node.recorded(), ['10.7.0.2', 'fd00:7::2'])
  })

  t.test('source mode: only frames from the listed addresses come in', async t => {
    const { node, there } = plugged(t)
    const known = there.link.get('out0').address!
    const strangers = node.config({ mode: 'source', sources: ['02:00:00:00:00:99'] })
    const [stranger] = attach(node, 1, strangers)
    t.notOk(pings(stranger!, '10.7.0.200'))
    node.call('DEL', stranger, strangers, { containerId: 'c0' })
    const [friend] = attach(node, 1, node.config({ mode: 'source', sources: [known] }))
    t.ok(pings(friend!, '10.7.0.200'))
    t.throws(() => node.call('ADD', node.pod(), node.config({ sources: [known] })), { code: 7, message: /sources/ })
  })

  t.test('layer 2: a link that is up and has no addresses', async t => {
    const { node } = plugged(t)
    const pod = node.pod()
    const config = node.config({ ipam: {} })
    const result = node.call('ADD', pod, config)
    t.match(result, { interfaces: [{ name: 'eth0' }], ips: undefined })
    t.match(observe(pod, 'ip', '-j', 'link', 'show', 'eth0'), [{ operstate: 'UP' }])
    node.call('CHECK', pod, { ...config, prevResult: result })
    t.throws(() => node.call('ADD', node.pod(), { ...config, cniVersion: '0.2.0' }), { code: 7 })
  })

  t.test('without a master the default route with the lowest metric says which', async t => {
    const { node } = plugged(t)
    const config = node.config({ master: '' })
    t.throws(() => node.call('ADD', node.pod(), config), { code: 7, message: /default route/ })
    t.throws(() => node.call('STATUS', undefined, config), { code: 50 })
    for (const [name, metric] of [['far0', 300], ['near0', 100], ['mid0', 200]] as const) {
      node.host.link.add({ name, up: true, info: { kind: 'bridge' } })
      node.host.route.add({ dst: '0.0.0.0/0', dev: node.host.link.get(name).index, priority: metric })
    }
    const pod = node.pod()
    node.call('ADD', pod, config)
    t.equal(pod.link.get('eth0').parent, node.host.link.get('near0').index)
    node.call('STATUS', undefined, config)
  })

  t.test('the parent may be in the container', async t => {
    const node = new Node(t, macvlan, { master: 'inner0', linkInContainer: true }, ipv4)
    const pod = node.pod()
    pod.link.add({ name: 'inner0', up: true, info: { kind: 'bridge' } })
    const result = node.call('ADD', pod)
    t.equal(pod.link.get('eth0').parent, pod.link.get('inner0').index)
    node.call('CHECK', pod, { ...node.config(), prevResult: result })
    node.call('DEL', pod)
    t.same(pod.link.list().map(({ name }) => name), ['lo', 'inner0'])
  })

  t.test('the hardware address: runtime before configuration, and it reaches the wire', async t => {
    const { node, there } = plugged(t)
    const pod = node.pod()
    const config = node.config({ mac: '02:00:00:00:00:01' })
    node.call('ADD', pod, config, { args: 'MAC=02:00:00:00:00:02' })
    t.equal(pod.link.get('eth0').address, '02:00:00:00:00:02')
    t.ok(pings(there, '10.7.0.2'))
    t.match(output(there, 'ip', ['neigh', 'show', '10.7.0.2']), /lladdr 02:00:00:00:00:02/)
    node.call('DEL', pod, config)
    node.call('ADD', pod, config)
    t.equal(pod.link.get('eth0').address, '02:00:00:00:00:01')
  })

  t.test('what cannot be is refused before anything is touched', async t => {
    const { node } = plugged(t)
    const refused: [Json, RegExp][] = [
      [{ master: 'none0' }, /master "none0" does not exist/], [{ master: 'lo' }, /loopback/],
      [{ mtu: 9000 }, /mtu 9000 is above 1500/], [{ mode: 'sideways' }, /mode/],
      [{ internal: true }, /internal true and master/], [{ linkInContainer: true, vlan: 5 }, /vlan 5/],
      [{ hostAccess: true, mode: 'private' }, /hostAccess/], [{ hostAccess: true, ipam: {} }, /hostAccess/],
    ]
    for (const [keys, message] of refused) {
      t.throws(() => node.call('ADD', node.pod(), node.config(keys)), { code: 7, message }, message.source)
    }
    t.same(node.links, ['up0'])
  })
})

test('what the host shares with its containers', { skip }, async t => {
  t.test('hostAccess: host and containers reach each other until DEL, others stay', async t => {
    const { node } = plugged(t, { hostAccess: true })
    const result = node.call('ADD', node.pod(), node.config(), { containerId: 'c9' })
    const [one] = attach(node, 1)
    for (const address of ['10.7.0.100', 'fd00:7::64', '10.7.0.2', 'fd00:7::2']) t.ok(pings(one!, address), address)
    for (const address of ['10.7.0.3', 'fd00:7::3']) t.ok(pings(node.host, address), address)
    t.ok(result)
    node.call('DEL', undefined, node.config(), { containerId: 'c0' })
    t.notOk(pings(node.host, '10.7.0.3'))
    t.ok(pings(node.host, '10.7.0.2'), 'the other container is still reached')
    node.call('DEL', undefined, node.config(), { containerId: 'c9' })
    t.same(node.links, ['up0'])
    t.same(node.recorded(), [])
  })

  t.test('CHECK misses the host\'s route, GC takes what dead containers have left', async t => {
    const { node } = plugged(t, { hostAccess: true })
    const pod = node.pod()
    const result = node.call('ADD', pod)
    attach(node, 1)
    const gc = (...ids: string[]): void => {
      const valid = ids.map(containerID => ({ containerID, ifname: 'eth0' }))
      node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': valid }))
    }
    gc('c1')
    t.ok(pings(node.host, '10.7.0.2'))
    t.notOk(pings(node.host, '10.7.0.3'))
    node.call('CHECK', pod, node.config({ prevResult: result }))
    output(node.host, 'ip', ['route', 'flush', 'scope', 'link', 'to', '10.7.0.2'])
    t.throws(() => node.call('CHECK', pod, node.config({ prevResult: result })), { code: 102, message: /10\.7\.0\.2/ })
    gc()
    t.same(node.links, ['up0'])
    t.same(node.recorded(), [])
  })

  t.test('a second ADD of a living attachment fails and takes nothing from it', async t => {
    for (const keys of [{ hostAccess: true }, { master: '', internal: true }]) {
      const { node } = plugged(t, keys)
      const [one] = attach(node, 1)
      t.throws(() => node.call('ADD', node.pod(), node.config(), { containerId: 'c0' }), { code: 103 })
      t.throws(() => node.call('ADD', one!, node.config(), { containerId: 'c0' }), { code: 103 })
      t.ok(one!.link.find('eth0')?.up)
      t.equal(pings(node.host, '10.7.0.2'), 'hostAccess' in keys)
    }
  })

  t.test('DEL leaves an interface of that name to the network that it belongs to', async t => {
    const { node } = plugged(t, { hostAccess: true })
    const [one] = attach(node, 1)
    node.call('DEL', one, node.config({ name: 'other' }), { containerId: 'c0' })
    node.call('DEL', one, node.config(), { containerId: 'c1' })
    t.ok(pings(node.host, '10.7.0.2'))
  })

  t.test('hostAccess: each parent of a network has its link, and an address has one way', async t => {
    const { node } = plugged(t, { hostAccess: true })
    attach(node, 1)
    node.host.link.add({ name: 'up9', up: true, info: { kind: 'bridge' } })
    const pod = node.pod()
    node.call('ADD', pod, node.config({ master: 'up9' }), { containerId: 'c1' })
    for (const address of ['10.7.0.2', '10.7.0.3']) t.ok(pings(node.host, address), address)
    output(node.host, 'ip', ['route', 'add', '10.7.0.4/32', 'dev', 'lo'])
    t.throws(() => node.call('ADD', node.pod(), node.config(), { containerId: 'c2' }), { message: /10\.7\.0\.4\/32/ })
    for (const containerId of ['c0', 'c1']) node.call('DEL', undefined, node.config(), { containerId })
    t.same(node.links, ['up0', 'up9'])
  })

  t.test('internal: containers reach each other on a parent of their own, and nothing else', async t => {
    const { node } = plugged(t, { master: '', internal: true })
    const [one] = attach(node, 2)
    t.ok(pings(one!, '10.7.0.3'))
    t.notOk(pings(one!, '10.7.0.200'))
    t.equal(node.links.length, 2)
    node.call('DEL', undefined, node.config(), { containerId: 'c0' })
    t.equal(node.links.length, 2, 'one container still uses the parent')
    node.call('DEL', undefined, node.config(), { containerId: 'c1' })
    t.same(node.links, ['up0'])
  })
})
