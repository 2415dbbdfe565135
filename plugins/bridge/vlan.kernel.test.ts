// VLANs of a bridge: who reaches whom, seen with packets, and with ip and bridge from outside.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { hostLinkName } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, lacksVlanFiltering, observe, output, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { bridge } from './bridge.ts'

const skip = lacks('ip') || lacks('bridge') || lacks('ping') || lacksVlanFiltering()

type Test = ConstructorParameters<typeof Node>[0]
const onHost = (t: Test, basis: Json = {}): Node =>
  new Node(t, bridge, { bridge: 'br0', ...basis }, '10.1.2.0/24', 'fd00:1::/64')

const portOf = (containerId: string): string => hostLinkName({ network: 'net', containerId, ifName: 'eth0' })

/** The VLANs of a link as `bridge vlan` lists them: `100 PVID Egress Untagged`. */
const vlansOf = (node: Node, link: string): string[] => {
  const [port] = observe(node.host, 'bridge', '-j', 'vlan', 'show', 'dev', link) as readonly {
    readonly vlans: readonly { readonly vlan: number; readonly flags?: readonly string[] }[]
  }[]
  return (port?.vlans ?? []).map(({ vlan, flags = [] }) => [vlan, ...flags].join(' '))
}

/** A container on the bridge. The addresses count up from 10.1.2.2 and fd00:1::2. */
const attach = (node: Node, containerId: string, extra: Json): { pod: Namespace; config: Json; result: Json } => {
  const pod = node.pod()
  const config = node.config(extra)
  return { pod, config, result: node.call('ADD', pod, config, { containerId })! }
}

/** Has a container send and take frames of a VLAN with their tags. */
const tagged = (pod: Namespace, vid: number, address: string): void => {
  output(pod, 'ip', ['link', 'add', 'link', 'eth0', 'name', `eth0.${vid}`, 'type', 'vlan', 'id', String(vid)])
  output(pod, 'ip', ['addr', 'add', address, 'dev', `eth0.${vid}`])
  output(pod, 'ip', ['link', 'set', `eth0.${vid}`, 'up'])
}

test('containers reach those of their own VLAN', { skip }, async t => {
  const node = onHost(t)
  const one = attach(node, 'c1', { vlan: 100 })
  attach(node, 'c2', { vlan: 100 })
  attach(node, 'c3', { vlan: 200 })
  attach(node, 'c4', {})
  for (const address of ['10.1.2.3', 'fd00:1::3']) t.ok(reaches(one.pod, address), `${address} is in VLAN 100`)
  for (const address of ['10.1.2.4', 'fd00:1::4']) t.notOk(pings(one.pod, address), `${address} is in VLAN 200`)
  t.notOk(pings(one.pod, '10.1.2.5'), '10.1.2.5 is in no VLAN of its own')

  const details = observe(node.host, 'ip', '-j', '-d', 'link', 'show', 'br0')
  t.match(details, [{ linkinfo: { info_data: { vlan_filtering: 1 } } }])
  t.same(vlansOf(node, portOf('c1')), ['100 PVID Egress Untagged'])
  t.same(vlansOf(node, portOf('c3')), ['200 PVID Egress Untagged'])
  t.same(vlansOf(node, portOf('c4')), ['1 PVID Egress Untagged'])

  const previous = { ...one.config, prevResult: one.result }
  node.call('CHECK', one.pod, previous)
  output(node.host, 'bridge', ['vlan', 'add', 'dev', portOf('c1'), 'vid', '100'])
  t.throws(() => node.call('CHECK', one.pod, previous), { code: 102, message: /VLAN 100/ }, 'tagged is not untagged')
  output(node.host, 'bridge', ['vlan', 'del', 'dev', portOf('c1'), 'vid', '100'])
  t.throws(() => node.call('CHECK', one.pod, previous), { code: 102, message: /VLAN 100/ })

  for (const id of ['c1', 'c2', 'c3', 'c4']) node.call('DEL', undefined, one.config, { containerId: id })
  t.same(node.links, ['br0'])
  t.same(node.recorded(), [])
})

test('a tag that a container puts on a frame takes it nowhere', { skip: skip || kernelLacks('vlan') }, async t => {
  const node = onHost(t)
  const one = attach(node, 'c1', { vlan: 100 })
  const two = attach(node, 'c2', { vlan: 200 })
  output(two.pod, 'ip', ['addr', 'add', '10.9.0.2/24', 'dev', 'eth0'])
  tagged(one.pod, 200, '10.9.0.1/24')
  t.notOk(pings(one.pod, '10.9.0.2'))
  output(node.host, 'bridge', ['vlan', 'add', 'dev', portOf('c1'), 'vid', '200'])
  t.ok(reaches(one.pod, '10.9.0.2'), 'it was the port that refused')
})

test('a trunk carries its VLANs tagged, and no other', { skip: skip || kernelLacks('vlan') }, async t => {
  const node = onHost(t)
  const [trunk, mixed] = [[{ id: 100 }, { minID: 200, maxID: 202 }], [{ id: 300 }, { id: 100 }]]
  const router = attach(node, 'c1', { ipam: undefined, vlanTrunk: trunk })
  attach(node, 'c2', { vlan: 100 })
  attach(node, 'c3', { vlan: 202 })
  attach(node, 'c4', { vlan: 203 })
  const port = ['1 PVID Egress Untagged', '100', '200', '201', '202']
  t.same(vlansOf(node, portOf('c1')), port)
  node.call('CHECK', router.pod, { ...router.config, prevResult: router.result })

  const networks = [[100, '10.1.2.2'], [202, '10.1.2.3'], [203, '10.1.2.4']] as const
  for (const [vid, there] of networks) {
    tagged(router.pod, vid, '10.1.2.200/24')
    t.equal(vid === 203 ? pings(router.pod, there) : reaches(router.pod, there), vid !== 203, `VLAN ${vid}`)
    output(router.pod, 'ip', ['link', 'del', `eth0.${vid}`])
  }

  attach(node, 'c5', { vlan: 100, vlanTrunk: mixed, preserveDefaultVlan: true })
  t.same(vlansOf(node, portOf('c5')), ['1 Egress Untagged', '100 PVID Egress Untagged', '300'])
})

test('each VLAN has a gateway of its own', { skip }, async t => {
  const node = onHost(t, { isDefaultGateway: true })
  const other = { vlan: 200, ipam: node.ipam('10.1.3.0/24') }
  const one = attach(node, 'c1', { vlan: 100 })
  const two = attach(node, 'c2', { vlan: 100 })
  const three = attach(node, 'c3', other)
  t.match(one.result, {
    ips: [{ address: '10.1.2.2/24', gateway: '10.1.2.1', interface: 2 }, { gateway: 'fd00:1::1' }],
    interfaces: [{ name: 'br0' }, { name: portOf('c1') }, { name: 'eth0' }, { name: 'br0.100' }],
  })
  for (const address of ['10.1.2.1', 'fd00:1::1', '10.1.2.3']) t.ok(reaches(one.pod, address), address)
  t.ok(reaches(three.pod, '10.1.3.1'), 'the gateway of VLAN 200')
  t.ok(reaches(three.pod, '10.1.2.3'), 'the host routes between VLANs')
  const addresses = (link: string): unknown => observe(node.host, 'ip', '-j', '-4', 'addr', 'show', 'dev', link)
  t.match(addresses('br0.100'), [{ addr_info: [{ local: '10.1.2.1', prefixlen: 24 }] }])
  t.match(observe(node.host, 'ip', '-j', 'link', 'show', 'br0.100'), [{ ifalias: /^fairlead:net\// }])
  t.match(addresses('br0.200'), [{ addr_info: [{ local: '10.1.3.1' }] }])
  t.notMatch(JSON.stringify(addresses('br0')), /"local"/, 'the bridge itself has none')

  node.call('CHECK', one.pod, { ...one.config, prevResult: one.result })
  node.call('DEL', one.pod, one.config, { containerId: 'c1' })
  t.ok(reaches(two.pod, '10.1.2.1'), 'the gateway stays for the others')

  const keep = { 'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }] }
  node.call('GC', undefined, { ...one.config, ...keep })
  t.notOk(node.links.includes(portOf('c3')))
  t.ok(reaches(two.pod, '10.1.2.1'))
  node.call('GC', undefined, { ...one.config, 'cni.dev/valid-attachments': null })
  t.same(node.links, [], 'gateways go with the bridge')
})

test('an attachment that fails takes its gateway back', { skip }, async t => {
  const node = onHost(t, { isGateway: true })
  const full = node.ipam('10.1.4.0/30')
  attach(node, 'c1', { vlan: 100, ipam: full })
  const before = node.links
  t.throws(() => attach(node, 'c2', { vlan: 300, ipam: full }), /address/)
  t.same(node.links, before)
  t.equal(node.recorded().length, 1)
})

test('an internal VLAN has no way out', { skip: skip || lacks('nft') }, async t => {
  const node = onHost(t, { vlan: 100 })
  const outside = node.uplink({ own: ['192.0.2.1/24'], there: ['192.0.2.2/24'] })
  output(outside, 'ip', ['route', 'add', '10.1.2.0/24', 'via', '192.0.2.1'])
  const open = attach(node, 'c1', { isDefaultGateway: true })
  t.ok(reaches(open.pod, '192.0.2.2'), 'without internal')
  node.call('GC', undefined, { ...open.config, 'cni.dev/valid-attachments': [] })

  const closed = attach(node, 'c1', { internal: true, isGateway: true })
  output(closed.pod, 'ip', ['route', 'add', 'default', 'via', '10.1.2.1'])
  t.ok(reaches(closed.pod, '10.1.2.1'))
  t.notOk(pings(closed.pod, '192.0.2.2'))
  node.call('CHECK', closed.pod, { ...closed.config, prevResult: closed.result })
  node.call('GC', undefined, { ...closed.config, 'cni.dev/valid-attachments': [] })
  t.same(node.links, ['up0'])
  t.equal(output(node.host, 'nft', ['list', 'ruleset']), '')
})
