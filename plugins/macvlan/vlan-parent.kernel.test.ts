// macvlan on parents that are made for it: a VLAN of a link of the host's, and a dummy link.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, ownNamespace, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { macvlan } from './macvlan.ts'

const skip = lacks('ip') || lacks('ping') || kernelLacks('macvlan') || kernelLacks('vlan')

type Test = Parameters<typeof ownNamespace>[0]

/** A host whose neighbour outside is at 10.7.0.200 and fd00:7::c8 in VLAN 50 of the cable. */
const plugged = (t: Test, basis: Json): Node => {
  const node = new Node(t, macvlan, basis, '10.7.0.0/24', 'fd00:7::/64')
  const there = node.uplink({ own: [], there: [] })
  const parent = there.link.get('out0').index
  there.link.add({ name: 'out0.50', parent, up: true, info: { kind: 'vlan', vid: 50 } })
  const { index } = there.link.get('out0.50')
  for (const address of ['10.7.0.200/24', 'fd00:7::c8/64']) {
    there.addr.add({ index, address, noDad: address.includes(':') })
  }
  return node
}

const attach = (node: Node, containerId: string): Namespace => {
  const pod = node.pod()
  node.call('ADD', pod, node.config(), { containerId })
  return pod
}

const detach = (node: Node, ...ids: string[]): void => {
  for (const containerId of ids) node.call('DEL', undefined, node.config(), { containerId })
}

test('a VLAN as the parent', { skip }, async t => {
  const named = { master: 'up0.50', createParent: true }
  for (const basis of [named, { master: 'up0', vlan: 50 }]) {
    t.test(`${JSON.stringify(basis)}: made up, used by all, and gone with the last`, async t => {
      const node = plugged(t, basis)
      const pod = node.pod()
      const result = node.call('ADD', pod, node.config(), { containerId: 'c1' })
      attach(node, 'c2')
      const { info, up, mtu, parent } = node.host.link.get('up0.50')
      t.same([info.kind, info.vid, up, mtu, parent], ['vlan', 50, true, 1500, node.host.link.get('up0').index])
      t.equal(pod.link.get('eth0').parent, node.host.link.get('up0.50').index)
      for (const address of ['10.7.0.200', 'fd00:7::c8', '10.7.0.3']) t.ok(reaches(pod, address), `to ${address}`)
      const flat = node.config({ name: 'flat', master: 'up0', vlan: 0, ipam: node.ipam('10.7.0.128/25') })
      node.call('ADD', node.pod(), flat, { containerId: 'c3' })
      t.notOk(pings(pod, '10.7.0.130'), 'who is outside of the VLAN hears nothing')
      node.call('CHECK', pod, node.config({ prevResult: result }), { containerId: 'c1' })
      detach(node, 'c1')
      t.same(node.links, ['up0', 'up0.50'], 'another container uses it')
      detach(node, 'c1', 'c2')
      t.same(node.links, ['up0'])
      t.same(node.recorded(), [])
    })
  }

  t.test('GC takes it away when nobody is left who uses it', async t => {
    const node = plugged(t, { master: 'up0', vlan: 50 })
    for (const id of ['c1', 'c2']) attach(node, id)
    const gc = (...ids: string[]): void => {
      const valid = ids.map(containerID => ({ containerID, ifname: 'eth0' }))
      node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': valid }))
    }
    gc('c2')
    t.same(node.links, ['up0', 'up0.50'])
    gc()
    t.same(node.links, ['up0'])
  })

  t.test('one that the administrator has made stays', async t => {
    const node = plugged(t, { master: 'up0', vlan: 50 })
    const info = { kind: 'vlan', vid: 50 } as const
    node.host.link.add({ name: 'up0.50', parent: node.host.link.get('up0').index, up: true, info })
    t.ok(reaches(attach(node, 'c1'), '10.7.0.200'))
    detach(node, 'c1')
    t.same(node.links, ['up0', 'up0.50'])
  })

  t.test('what it cannot be is refused before anything is touched, and STATUS says so', async t => {
    const node = plugged(t, { master: 'up0.50' })
    const info = { kind: 'vlan', vid: 7 } as const
    node.host.link.add({ name: 'up0.60', parent: node.host.link.get('up0').index, info })
    const before = node.links
    const refused: [Json, RegExp][] = [
      [{}, /master "up0\.50" does not exist/], [{ master: 'up0', vlan: 50, createParent: false }, /up0\.50/],
      [{ master: 'none0.50', createParent: true }, /none0\.50/], [{ master: 'up0', vlan: 60 }, /up0\.60 exists/],
      [{ master: 'up0', vlan: 50, mtu: 1600 }, /mtu 1600 is above 1500/], [{ vlan: 50, internal: true }, /internal/],
    ]
    for (const [keys, message] of refused) {
      t.throws(() => node.call('ADD', node.pod(), node.config(keys)), { code: 7, message }, message.source)
    }
    t.throws(() => node.call('STATUS', undefined), { code: 50, message: /up0\.50/ })
    node.call('STATUS', undefined, node.config({ createParent: true }))
    t.same(node.links, before)
  })
})

test('a dummy link as the parent', { skip: skip || kernelLacks('dummy') }, async t => {
  const node = plugged(t, { internal: true })
  const [one, two] = [attach(node, 'c1'), attach(node, 'c2')]
  const made = node.links.filter(name => name !== 'up0')
  t.same(made.map(name => node.host.link.get(name).info.kind), ['dummy'])
  t.ok(reaches(one, '10.7.0.3'))
  t.ok(reaches(two, 'fd00:7::2'))
  t.notOk(pings(one, '10.7.0.200'), 'nothing leads out')
  detach(node, 'c1', 'c2')
  t.same(node.links, ['up0'])
})
