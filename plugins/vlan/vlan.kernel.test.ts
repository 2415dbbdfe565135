// The vlan driver on a network with a neighbour outside, seen with ip, packets, and the frames on the parent.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, observe, ownNamespace, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { vlan } from './vlan.ts'

const skip = lacks('ip') || lacks('ping') || lacks('tcpdump') || kernelLacks('vlan')

type Test = Parameters<typeof ownNamespace>[0]

/** A host whose neighbour outside is at 10.7.0.200 in VLAN 5 and at 10.8.0.200 in VLAN 6. */
const plugged = (t: Test, basis: Json = {}): { node: Node; there: Namespace } => {
  const node = new Node(t, vlan, { master: 'up0', vlanId: 5, ...basis }, '10.7.0.0/24', 'fd00:7::/64')
  const there = node.uplink({ own: [], there: [] })
  for (const [vid, addresses] of [[5, ['10.7.0.200/24', 'fd00:7::c8/64']], [6, ['10.8.0.200/24']]] as const) {
    const name = `out0.${vid}`
    there.link.add({ name, parent: there.link.get('out0').index, up: true, info: { kind: 'vlan', vid } })
    const { index } = there.link.get(name)
    for (const address of addresses) there.addr.add({ index, address, noDad: address.includes(':') })
  }
  return { node, there }
}

/** The frames with IPv4 echoes that pass a link of the host while `step` runs, as tcpdump prints them. */
const captured = async ({ host }: Node, link: string, step: () => void): Promise<string[]> => {
  const options = ['-i', link, '-n', '-U', '--immediate-mode', '-w', '-', 'icmp or (vlan and icmp)']
  const watch = host.run(() => spawn('tcpdump', options))
  const ended = once(watch, 'close')
  const file = buffer(watch.stdout)
  await once(watch.stderr, 'data') // it listens
  step()
  watch.kill('SIGINT')
  await ended
  const { stdout } = spawnSync('tcpdump', ['-e', '-n', '-r', '-'], { input: await file, encoding: 'utf8' })
  return stdout.trim().split('\n')
}

test('vlan', { skip }, async t => {
  t.test('the container reaches its VLAN, all frames on the parent have its tag, other VLANs hear nothing', async t => {
    const { node, there } = plugged(t)
    const config = node.config({ mtu: 1400 })
    const [one, two] = [node.pod(), node.pod()]
    const result = node.call('ADD', one, config)
    t.match(result, {
      interfaces: [{ name: 'eth0', mtu: 1400, sandbox: one.path }],
      ips: [{ address: '10.7.0.2/24', gateway: '10.7.0.1', interface: 0 }, { address: 'fd00:7::2/64', interface: 0 }],
    })
    const frames = await captured(node, 'up0', () => t.ok(reaches(one, '10.7.0.200')))
    t.equal(frames.length, 2, 'an echo and its reply')
    for (const frame of frames) t.match(frame, /802\.1Q.* vlan 5,.* ICMP echo re(quest|ply)/)
    t.ok(reaches(one, 'fd00:7::c8'))
    t.ok(reaches(there, '10.7.0.2'), 'from outside')
    t.match(observe(one, 'ip', '-j', '-d', 'link', 'show', 'eth0'), [
      { mtu: 1400, linkinfo: { info_kind: 'vlan', info_data: { protocol: '802.1Q', id: 5 } } },
    ])

    // Another VLAN, in which an address of the first one's subnet reaches nobody.
    const other = node.config({ name: 'other', vlanId: 6, ipam: node.ipam('10.8.0.0/24') })
    node.call('ADD', two, other, { containerId: 'c2' })
    two.addr.add({ index: two.link.get('eth0').index, address: '10.7.0.9/24' })
    t.ok(reaches(two, '10.8.0.200'))
    for (const address of ['10.7.0.2', '10.7.0.200']) t.notOk(pings(two, address), `across VLANs to ${address}`)

    node.call('CHECK', one, { ...config, prevResult: result })
    const changed = { ...config, vlanId: 6, prevResult: result }
    t.throws(() => node.call('CHECK', one, changed), { code: 102, message: /vlanId/ })
    node.call('DEL', one, config)
    t.equal(one.link.find('eth0'), undefined)
    node.host.link.remove('up0')
    for (let time = 0; time < 2; time++) node.call('DEL', undefined, { ...other, vlanId: 5000 }, { containerId: 'c2' })
    t.same([...node.recorded(), ...node.recorded('other')], [])
  })

  t.test('a VLAN has one link: a second container is told so and nothing stays of it', async t => {
    const { node } = plugged(t)
    node.call('ADD', node.pod())
    const late = node.pod()
    const refusal = { code: 100, message: /vlanId 5 of up0 is taken/ }
    t.throws(() => node.call('ADD', late, node.config(), { containerId: 'c2' }), refusal)
    t.same(late.link.list().map(({ name }) => name), ['lo'])
    t.same(node.recorded(), ['10.7.0.2', 'fd00:7::2'])
  })

  t.test('layer 2, the outer tag of two, the hardware address', async t => {
    const { node } = plugged(t)
    const pod = node.pod()
    const config = node.config({ ipam: {}, protocol: '802.1ad', mac: '02:00:00:00:00:01' })
    const result = node.call('ADD', pod, config)
    t.match(result, { interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01' }], ips: undefined })
    t.match(observe(pod, 'ip', '-j', '-d', 'link', 'show', 'eth0'), [{
      flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'], address: '02:00:00:00:00:01',
      linkinfo: { info_data: { protocol: '802.1ad', id: 5 } },
    }])
    node.call('CHECK', pod, { ...config, prevResult: result })
    pod.link.set(pod.link.get('eth0').index, { up: false })
    t.throws(() => node.call('CHECK', pod, { ...config, prevResult: result }), { code: 102, message: /down/ })
  })

  t.test('the parent: that of the default route, or in the container', async t => {
    const { node } = plugged(t, { master: '' })
    t.throws(() => node.call('ADD', node.pod()), { code: 7, message: /default route/ })
    t.throws(() => node.call('STATUS', undefined), { code: 50, message: /default route/ })
    node.host.route.add({ dst: '0.0.0.0/0', dev: node.host.link.get('up0').index })
    node.call('STATUS', undefined)
    const pod = node.pod()
    node.call('ADD', pod)
    t.ok(reaches(pod, '10.7.0.200'))
    pod.link.add({ name: 'inner0', up: true, info: { kind: 'bridge' } })
    const inner = node.config({ name: 'inner', master: 'inner0', linkInContainer: true, ipam: {} })
    const result = node.call('ADD', pod, inner, { ifName: 'eth1' })
    t.equal(pod.link.get('eth1').parent, pod.link.get('inner0').index)
    node.call('CHECK', pod, { ...inner, prevResult: result }, { ifName: 'eth1' })
    node.call('DEL', pod, inner, { ifName: 'eth1' })
    t.same(pod.link.list().map(({ name }) => name), ['lo', 'eth0', 'inner0'])
  })

  t.test('what cannot be is refused before anything is touched', async t => {
    const { node } = plugged(t)
    const refused: [Json, RegExp][] = [
      [{ master: 'none0' }, /master "none0" does not exist/], [{ vlanId: 4095 }, /vlanId/], [{ vlanId: -1 }, /vlanId/],
      [{ mtu: 9000 }, /mtu 9000 is above 1500/], [{ mtu: 10 }, /mtu 10 is below/], [{ protocol: 'qinq' }, /protocol/],
      [{ mac: '01:00:00:00:00:01' }, /mac/], [{ master: 'lo' }, /loopback/],
    ]
    for (const [keys, message] of refused) {
      t.throws(() => node.call('ADD', node.pod(), node.config(keys)), { code: 7, message }, message.source)
    }
    t.same(node.links, ['up0'])
  })
})
