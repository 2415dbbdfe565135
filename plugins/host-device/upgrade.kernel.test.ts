// In-place upgrade: devices that the reference plugin has lent, and ours in its hands.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { connect, lacks, observe } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { hostDevice } from './host-device.ts'

const REFERENCE = '/usr/lib/cni'
const skip = lacks('ip') || (existsSync(`${REFERENCE}/host-device`) ? false : 'no reference suite')

test('the reference plugin before and after', { skip }, async t => {
  const node = new Node(t, hostDevice, { device: 'card0', cniVersion: '1.0.0' })
  const { host } = node
  connect({ ns: host, name: 'card0', addresses: [] }, { ns: node.pod(), name: 'far0', addresses: [] })

  const reference = (verb: string, pod: Namespace, config: Json): string => {
    const { status, stdout } = spawnSync(`${REFERENCE}/host-device`, {
      input: JSON.stringify(config), encoding: 'utf8',
      env: {
        ...process.env, CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0',
        CNI_PATH: REFERENCE,
      },
    })
    if (status !== 0) throw new Error(stdout)
    return stdout
  }
  const card = (): Json => (observe(host, 'ip', '-j', 'link', 'show', 'card0') as Json[])[0]!

  t.test('we check and delete what it has added', async t => {
    for (const key of [{ device: 'card0' }, { device: undefined, hwaddr: host.link.get('card0').address }]) {
      const [pod, config] = [node.pod(), node.config(key)]
      const prevResult = JSON.parse(reference('ADD', pod, config))
      node.call('CHECK', pod, { ...config, prevResult })
      t.equal(host.link.find('card0'), undefined)
      node.call('DEL', pod, config)
      t.notHas(card(), { ifalias: 'card0' }, 'its note has gone')
      t.equal(pod.link.find('eth0'), undefined)
    }
  })

  t.test('a link with an alias that is no device of ours stays', async t => {
    const pod = node.pod()
    pod.link.add({ name: 'eth0', info: { kind: 'bridge' } })
    for (const alias of ['uplink', 'no name of a link']) {
      pod.link.set(pod.link.get('eth0').index, { alias })
      node.call('DEL', pod)
      t.ok(pod.link.find('eth0'), alias)
    }
  })

  t.test('it checks and deletes what we have added, and we put right what it does not know', async t => {
    const [pod, config] = [node.pod(), node.config({ mtu: 1400 })]
    host.link.set(host.link.get('card0').index, { up: true, alias: 'mine' })
    const prevResult = node.call('ADD', pod, config)
    reference('CHECK', pod, { ...config, prevResult: { ...prevResult, cniVersion: '1.0.0' } })
    reference('DEL', pod, config)
    t.match(card(), { mtu: 1400 }, 'home, and no more')
    const next = node.pod()
    node.call('ADD', next, node.config(), { containerId: 'c2' })
    node.call('DEL', next, node.config(), { containerId: 'c2' })
    const { mtu, ifalias, altnames, flags } = card()
    t.same({ mtu, ifalias, altnames }, { mtu: 1500, ifalias: 'mine', altnames: undefined })
    t.ok((flags as string[]).includes('UP'))
  })
})
