// The ipvlan driver on a network with a neighbour outside, seen with ip and packets.
import { readdirSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, observe, ownNamespace, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { ipvlan } from './ipvlan.ts'

const skip = lacks('ip') || lacks('ping') || kernelLacks('ipvlan')

const outside = ['10.7.0.200', 'fd00:7::c8']

type Test = Parameters<typeof ownNamespace>[0]

/** A host at 10.7.0.100, a neighbour outside at 10.7.0.200 and fd00:7::c8, containers from 10.7.0.2 on. */
const plugged = (t: Test, basis: Json = {}): { node: Node; there: Namespace } => {
  const node = new Node(t, ipvlan, { master: 'up0', ...basis }, '10.7.0.0/24', 'fd00:7::/64')
  const there = node.uplink({ own: ['10.7.0.100/24'], there: ['10.7.0.200/24', 'fd00:7::c8/64'] })
  return { node, there }
}

const attach = (node: Node, count: number, config: Json = node.config()): Namespace[] =>
  Array.from({ length: count }, (_, i) => {
    const pod = node.pod()
    node.call('ADD', pod, config, { containerId: `c${i}` })
    return pod
  })

/** Marks of attachments, on whatever link of the host. */
const marks = ({ host }: Node): number => host.link.list().flatMap(({ altNames = [] }) => altNames).length

test('ipvlan l2', { skip }, async t => {
  t.test('containers and the network reach each other, the host does not; DEL leaves nothing', async t => {
    const { node, there } = plugged(t)
    const config = node.config({ mtu: 1400 })
    const [one, two] = [node.pod(), node.pod()]
    const result = node.call('ADD', one, config)
    t.match(result, {
      interfaces: [{ name: 'eth0', mtu: 1400, mac: node.host.link.get('up0').address, sandbox: one.path }],
      ips: [{ address: '10.7.0.2/24', gateway: '10.7.0.1', interface: 0 }, { address: 'fd00:7::2/64', interface: 0 }],
    })
    node.call('ADD', two, config, { containerId: 'c2' })
    for (const address of [...outside, '10.7.0.3', 'fd00:7::3']) t.ok(reaches(one, address), `to ${address}`)
    for (const address of ['10.7.0.2', 'fd00:7::2']) t.ok(reaches(there, address), `from outside to ${address}`)
    t.notOk(pings(one, '10.7.0.100'), 'the kernel keeps a parent and its links apart')
    t.match(observe(one, 'ip', '-j', '-d', 'link', 'show', 'eth0'), [
      { mtu: 1400, linkinfo: { info_kind: 'ipvlan', info_data: { mode: 'l2' } } },
    ])
    node.call('CHECK', one, { ...config, prevResult: result })
    for (const [key, value] of [['mode', 'l3'], ['flag', 'vepa']] as const) {
      const other = { ...config, [key]: value, prevResult: result }
      t.throws(() => node.call('CHECK', one, other), { code: 102, message: new RegExp(key) })
    }
    node.call('DEL', one, config)
    t.equal(one.link.find('eth0'), undefined)
    node.host.link.remove('up0')
    node.call('DEL', undefined, config, { containerId: 'c2' })
    node.call('DEL', undefined, config, { containerId: 'c2' })
    t.same(node.recorded(), [])
    t.same(node.links, [])
  })

  t.test('private: containers reach the network and not each other', async t => {
    const { node } = plugged(t, { flag: 'private' })
    const [one] = attach(node, 2)
    for (const address of outside) t.ok(reaches(one!, address), `to ${address}`)
    for (const address of ['10.7.0.3', 'fd00:7::3']) t.notOk(pings(one!, address), `to ${address}`)
  })

  t.test('vepa: frames between containers go out and do not come back by themselves', async t => {
    const { node } = plugged(t, { flag: 'vepa' })
    const [one] = attach(node, 2)
    t.ok(reaches(one!, '10.7.0.200'))
    t.notOk(pings(one!, '10.7.0.3'))
  })

  t.test('without ipam: a link that is up and has no addresses', async t => {
    const { node } = plugged(t)
    const pod = node.pod()
    const config = node.config({ ipam: {} })
    const result = node.call('ADD', pod, config)
    t.match(result, { interfaces: [{ name: 'eth0' }], ips: undefined })
    t.match(observe(pod, 'ip', '-j', 'link', 'show', 'up'), [{ ifname: 'lo' }, { ifname: 'eth0' }])
    node.call('CHECK', pod, { ...config, prevResult: result })
  })

  t.test('what cannot be is refused before anything is touched', async t => {
    const { node } = plugged(t)
    const mac = '02:00:00:00:00:01'
    const refused: [Json, RegExp, string?][] = [
      [{ master: 'none0' }, /master "none0" does not exist/], [{ mtu: 9000 }, /mtu 9000 is above 1500/],
      [{ mode: 'sideways' }, /mode/], [{ flag: 'open' }, /flag/], [{ internal: true }, /internal true and master/],
      [{ mac }, /^mac "02/], [{ runtimeConfig: { mac } }, /^runtimeConfig\.mac.*parent's hardware address/],
      [{ args: { cni: { mac } } }, /^args\.cni\.mac/], [{}, /^CNI_ARGS MAC/, `MAC=${mac}`],
    ]
    for (const [keys, message, args = ''] of refused) {
      t.throws(() => node.call('ADD', node.pod(), node.config(keys), { args }), { code: 7, message }, message.source)
    }
    t.same(node.links, ['up0'])
  })
})

const routes = [{ dst: '0.0.0.0/0' }, { dst: '::/0', mtu: 1300 }, { dst: '10.99.0.0/16', gw: '10.7.0.1' }]

for (const mode of ['l3', 'l3s']) {
  test(`ipvlan ${mode}`, { skip }, async t => {
    t.test('containers of different subnets and networks reach each other and the world behind the host', async t => {
      const node = new Node(t, ipvlan, { master: 'up0', mode })
      const there = node.uplink({ own: ['192.0.2.1/24'], there: ['192.0.2.200/24'] })
      const back = { dev: there.link.get('out0').index, via: '192.0.2.1' }
      for (const subnet of [7, 8]) there.route.add({ dst: `10.${subnet}.0.0/24`, ...back })
      const [config, other] = [7, 8].map(subnet => node.config({
        name: `net${subnet}`, ipam: { ...node.ipam(`10.${subnet}.0.0/24`, `fd00:${subnet}::/64`), routes },
      }))
      const [one, two] = [node.pod(), node.pod()]
      const result = node.call('ADD', one, config)
      t.same(result?.['ips'], ['10.7.0.2/24', 'fd00:7::2/64'].map(address => ({ address, interface: 0 })))
      t.same(result?.['routes'], routes.map(({ gw: _, ...route }) => route), 'no next hops')
      const route = (family: string): unknown => observe(one, 'ip', '-j', family, 'route', 'show', 'default')
      t.match(route('-4'), [{ dst: 'default', gateway: undefined, dev: 'eth0' }])
      t.match(route('-6'), [{ dst: 'default', gateway: undefined, dev: 'eth0', metrics: [{ mtu: 1300 }] }])
      node.call('ADD', two, other, { containerId: 'c2' })
      for (const address of ['10.8.0.2', 'fd00:8::2', '192.0.2.200']) t.ok(reaches(one, address), `to ${address}`)
      node.call('CHECK', one, { ...config, prevResult: result })
      one.link.set(one.link.get('eth0').index, { up: false })
      t.throws(() => node.call('CHECK', one, { ...config, prevResult: result }), { code: 102 })
    })
  })
}

test('the parent of ipvlan links', { skip }, async t => {
  t.test('a second mode or flag on it is refused, and allowed when the last container has gone', async t => {
    const { node } = plugged(t)
    const [one] = attach(node, 1)
    const second = { name: 'second', ipam: node.ipam('10.8.0.0/24') }
    for (const wish of [{ mode: 'l3' }, { flag: 'private' }]) {
      const refusal = { code: 7, message: /would switch the containers on up0, which have l2 with bridge/ }
      const config = node.config({ ...second, ...wish })
      t.throws(() => node.call('ADD', node.pod(), config, { containerId: 'c9' }), refusal)
      t.throws(() => node.call('STATUS', undefined, config), refusal)
    }
    t.equal(one!.link.get('eth0').info.mode, 'l2')
    t.equal(marks(node), 1)
    node.call('ADD', node.pod(), node.config(second), { containerId: 'c9' })
    node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': [] }))
    t.equal(marks(node), 1, 'the container of the other network is still there')
    node.call('DEL', undefined, node.config(second), { containerId: 'c9' })
    t.same(node.links, ['up0'])
    node.call('DEL', one, node.config(), { containerId: 'c0' })
    node.call('ADD', one, node.config({ mode: 'l3', flag: 'private' }))
    t.match(one!.link.get('eth0').info, { mode: 'l3', flag: 'private' })
  })

  t.test('it has room for more containers than the host\'s link has for names', async t => {
    const { node } = plugged(t)
    attach(node, 1)
    const [, witness = ''] = node.links
    const name = (text: string): void => node.host.requestAll([node.host.link.addingAltName(witness, text)])
    for (let i = 1; i < 496; i++) name(`name${i}`)
    t.throws(() => name('one too many'), { code: 'EINVAL' })
    const pod = node.pod()
    node.call('ADD', pod, node.config(), { containerId: 'c9' })
    t.ok(reaches(pod, '10.7.0.200'))
    t.throws(() => node.call('ADD', node.pod(), node.config({ mode: 'l3' })), { code: 7, message: /would switch/ })
    node.call('DEL', pod, node.config(), { containerId: 'c9' })
    node.call('DEL', undefined, node.config(), { containerId: 'c0' })
    t.same(node.links, ['up0'])
  })

  t.test('macvlan links on it are named as the reason', async t => {
    const { node } = plugged(t)
    node.host.link.add({ name: 'mv0', parent: node.host.link.get('up0').index, info: { kind: 'macvlan' } })
    t.throws(() => node.call('ADD', node.pod()), { code: 100, message: /parent up0 is taken/, details: /macvlan/ })
    t.same(node.links, ['up0', 'mv0'])
    t.same(readdirSync(node.leases), [])
  })

  t.test('a VLAN of it is made, carries tagged frames and goes with the last container', async t => {
    const { node, there } = plugged(t, { vlan: 50 })
    const info = { kind: 'vlan', vid: 50 } as const
    there.link.add({ name: 'out0.50', parent: there.link.get('out0').index, up: true, info })
    const addressed = there.link.get('out0.50').index
    there.addr.del({ index: there.link.get('out0').index, address: '10.7.0.200/24' })
    there.addr.add({ index: addressed, address: '10.7.0.200/24' })
    const [one] = attach(node, 2)
    t.ok(reaches(one!, '10.7.0.200'))
    t.ok(reaches(one!, '10.7.0.3'))
    const found = node.host.link.get('up0.50')
    t.same([found.info.vid, found.parent, found.up], [50, node.host.link.get('up0').index, true])
    node.call('DEL', undefined, node.config(), { containerId: 'c0' })
    t.ok(node.host.link.find('up0.50'))
    node.call('DEL', undefined, node.config(), { containerId: 'c1' })
    t.same(node.links, ['up0'])
  })

  t.test('internal: a parent of the network\'s own, from where nothing leads out', async t => {
    const { node } = plugged(t, { master: '', internal: true })
    const ipam = { ...node.ipam('10.7.0.0/24'), routes: [{ dst: '0.0.0.0/0' }] }
    const pods = [node.pod(), node.pod()]
    const [result] = pods.map((pod, i) => node.call('ADD', pod, node.config({ ipam }), { containerId: `c${i}` }))
    t.equal(result?.['routes'], undefined)
    t.ok(reaches(pods[0]!, '10.7.0.3'))
    t.notOk(pings(pods[0]!, '10.7.0.200'))
    pods.forEach((_, i) => node.call('DEL', undefined, node.config(), { containerId: `c${i}` }))
    t.same(node.links, ['up0'])
  })

  t.test('it may be in the container', async t => {
    const node = new Node(t, ipvlan, { master: 'inner0', linkInContainer: true }, '10.7.0.0/24')
    const pod = node.pod()
    pod.link.add({ name: 'inner0', up: true, info: { kind: 'bridge' } })
    const result = node.call('ADD', pod)
    t.equal(pod.link.get('eth0').parent, pod.link.get('inner0').index)
    const other = node.config({ mode: 'l3' })
    t.throws(() => node.call('ADD', pod, other, { ifName: 'eth1' }), { code: 7, message: /would switch/ })
    node.call('CHECK', pod, node.config({ prevResult: result }))
    node.call('DEL', pod)
    t.same(pod.link.list().map(({ name }) => name), ['lo', 'inner0'])
  })
})
