// How a device finds home when it is not simply fetched from its container.
import { test } from 'tap'
import { endOfNamespace, plug, seen } from '#tools/card.ts'
import { lacks, output, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { hostDevice } from './host-device.ts'

const MAC = '02:00:00:00:00:01'
const skip = lacks('ip') || lacks('ping')

test('the way home', { skip }, async t => {
  const node = new Node(t, hostDevice, { device: 'card0' }, '10.1.2.0/24')
  const { host } = node
  plug(t, host, 'card0', MAC)
  const before = seen(host)

  t.test('its name has been taken: it stays, switched off, until the name is free', async t => {
    const pod = node.pod()
    node.call('ADD', pod)
    host.link.add({ name: 'card0', info: { kind: 'bridge' } })
    t.throws(() => node.call('DEL', pod), { code: 106, message: /card0/ })
    t.equal(pod.link.get('eth0').up, false)
    t.same(node.recorded(), [], 'the addresses are free, so nobody may use them here')
    host.link.remove('card0')
    node.call('DEL', pod)
    t.same(seen(host), before)
  })

  t.test('the namespace ends, and the device is found by DEL, by GC and by the next ADD', async t => {
    const returned = ['card7', 'eth0'] as const
    for (const name of returned) {
      const pod = node.pod()
      node.call('ADD', pod, node.config({ mtu: 1300 }))
      endOfNamespace(pod, host, 'eth0', name)
      const status = { cniVersion: '1.1.0', name: 'net', type: 'host-device', device: 'card0' }
      node.call('STATUS', undefined, status)
      node.call('DEL', undefined)
      t.same(seen(host), before, `DEL of ${name}`)
    }
    const pods = [node.pod(), node.pod(), node.pod()] as const
    node.call('ADD', pods[0])
    endOfNamespace(pods[0], host, 'eth0')
    const list = (...ids: string[]) => ids.map(containerID => ({ containerID, ifname: 'eth0' }))
    node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': list('c1') }))
    t.ok(host.link.find('eth0'), 'a valid attachment\'s is left')
    node.call('GC', undefined, node.config({ name: 'another', 'cni.dev/valid-attachments': [] }))
    t.ok(host.link.find('eth0'), 'another network\'s is left')
    node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': list('c2') }))
    t.same(seen(host), before, 'GC')

    node.call('ADD', pods[1])
    endOfNamespace(pods[1], host, 'eth0')
    node.call('ADD', pods[2], node.config({ device: undefined, hwaddr: MAC }), { containerId: 'c3' })
    t.ok(pings(pods[2], '10.1.2.250'))
    node.call('DEL', undefined)
    t.ok(pings(pods[2], '10.1.2.250'), 'a late DEL of the first')
    node.call('DEL', pods[2], node.config(), { containerId: 'c3' })
    t.same(seen(host), before, 'the next ADD')
    t.same(node.recorded(), [])
  })

  t.test('it has come home, and another link has its name', async t => {
    const [pod, next] = [node.pod(), node.pod()]
    node.call('ADD', pod)
    endOfNamespace(pod, host, 'eth0', 'card7')
    host.link.add({ name: 'card0', info: { kind: 'bridge' } })
    t.throws(() => node.call('DEL', undefined), { code: 106, message: /card0.*card7/ })
    const byAddress = node.config({ device: undefined, hwaddr: MAC })
    const other = { containerId: 'c2' }
    t.throws(() => node.call('ADD', next, byAddress, other), { code: 106, message: /card7/ }, 'its past is not lost')
    host.link.remove('card0')
    node.call('ADD', next, byAddress, other)
    node.call('DEL', next, byAddress, other)
    t.same(seen(host), before)
    t.same(node.recorded(), [])
  })

  t.test('marks that make no sense are no obstacle', async t => {
    for (const nonsense of ['..,1500,,up,', 'card0,many,,up,', 'card0,1500,zz,up,', '=ZZ', 'card0,1500', '']) {
      const pod = node.pod()
      node.call('ADD', pod)
      const marks = pod.link.get('eth0').altNames ?? []
      for (const name of marks) pod.link.removeAltName(name)
      pod.requestAll([pod.link.addingAltName('eth0', marks[0]!.replace(/-0\d-.*/, `-00-${nonsense}`))])
      node.call('DEL', pod)
      t.match(seen(host)[1], { ifname: 'card0', altnames: undefined, ifalias: undefined }, JSON.stringify(nonsense))
    }
    output(host, 'ip', ['link', 'set', 'card0', 'up', 'alias', before[1]?.['ifalias'] as string])
    t.same(seen(host), before)
  })
})
