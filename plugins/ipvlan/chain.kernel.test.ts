// ipvlan behind other plugins, seen in results and with packets.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { kernelLacks, lacks, ownNamespace, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { ipvlan } from './ipvlan.ts'

const skip = lacks('ping') || kernelLacks('ipvlan')

/** A host with a neighbour outside at 10.7.0.200, whose configuration names neither parent nor IPAM plugin. */
const plugged = (t: Parameters<typeof ownNamespace>[0]): Node => {
  const node = new Node(t, ipvlan, {})
  node.uplink({ own: [], there: ['10.7.0.200/24'] })
  return node
}

test('ipvlan behind another plugin', { skip }, async t => {
  const given = (interfaces: readonly Json[], ips: readonly Json[]): Json =>
    ({ cniVersion: '1.1.0', interfaces, ips, routes: [{ dst: '0.0.0.0/0', gw: '10.7.0.200' }] })
  const address = { address: '10.7.0.9/24', gateway: '10.7.0.200' }

  t.test('without ipam and master: that plugin\'s addresses and link are used, and stay in the result', async t => {
    const node = plugged(t)
    const pod = node.pod()
    const config = node.config({ prevResult: given([{ name: 'up0' }], [{ ...address, interface: 0 }]) })
    const result = node.call('ADD', pod, config)
    t.match(result, {
      interfaces: [{ name: 'up0' }, { name: 'eth0', sandbox: pod.path }],
      ips: [{ ...address, interface: 1 }], routes: [{ dst: '0.0.0.0/0', gw: '10.7.0.200' }],
    })
    t.ok(reaches(pod, '10.7.0.200'))
    node.call('CHECK', pod, node.config({ prevResult: result }))
    node.call('DEL', pod, node.config({ prevResult: result }))
    t.same(node.links, ['up0'])
  })

  t.test('addresses of another interface stay with it, and two links of the host are no parent', async t => {
    const node = plugged(t)
    const pod = node.pod()
    const taken = [{ name: 'net1', sandbox: pod.path }, { name: 'up0' }]
    const result = node.call('ADD', pod, node.config({ prevResult: given(taken, [{ ...address, interface: 0 }]) }))
    t.match(result, { ips: [{ ...address, interface: 0 }], interfaces: [...taken, { name: 'eth0' }] })
    t.same(pod.addr.list(pod.link.get('eth0').index).filter(({ scope }) => scope === 0), [])
    const two = node.config({ prevResult: given([{ name: 'up0' }, { name: 'up1' }], [address]) })
    t.throws(() => node.call('ADD', node.pod(), two), { code: 7, message: /up0, up1/ })
  })
})
