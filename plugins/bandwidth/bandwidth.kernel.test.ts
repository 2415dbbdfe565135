// bandwidth on pairs that somebody else has made, seen with ip and tc. What passes is measured in system/throughput.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { connect, kernelLacks, lacks, observe, output, ownNamespace } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { lacksReference, refer } from '#tools/reference.ts'
import { bandwidth } from './bandwidth.ts'

const skip = lacks('tc') || kernelLacks('ifb')

type Test = Parameters<typeof ownNamespace>[0]

interface Place { readonly node: Node; readonly pod: Namespace; config(keys?: Json, version?: string): Json }

const both = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 1_600_000 }

/** A container with two pairs to the host. */
const prepared = (t: Test): Place => {
  const node = new Node(t, bandwidth, {})
  const pod = node.pod()
  for (const i of [0, 1]) {
    connect({ ns: pod, name: `eth${i}`, addresses: [] }, { ns: node.host, name: `veth${i}`, addresses: [] })
  }
  const interfaces = [{ name: 'veth0' }, { name: 'eth0', sandbox: pod.path }]
  const config = (keys: Json = both, cniVersion = '1.1.0'): Json =>
    node.config({ cniVersion, prevResult: { cniVersion, interfaces, ips: [] }, ...keys })
  return { node, pod, config }
}

const disciplines = (host: Namespace, dev: string): unknown =>
  (observe(host, 'tc', '-j', 'qdisc', 'show', 'dev', dev) as { handle: string }[])
    .filter(({ handle }) => handle !== '0:')

const shapers = (host: Namespace): string[] => host.link.list().filter(({ info }) => info.kind === 'ifb')
  .map(({ name }) => name)

test('bandwidth', { skip }, async t => {
  t.test('ADD limits both directions, CHECK sees what is missing, DEL leaves nothing', async t => {
    const { node, pod, config } = prepared(t)
    const result = node.call('ADD', pod, config())
    const [shaper = ''] = shapers(node.host)
    t.match(result, { interfaces: [{ name: 'veth0' }, { name: 'eth0' }, { name: shaper, mac: /:/ }] }, 'appended')
    t.match(disciplines(node.host, 'veth0'), [
      { kind: 'tbf', handle: '1ead:', options: { rate: 1_000_000 } }, { kind: 'ingress', handle: 'ffff:' },
    ])
    t.match(disciplines(node.host, shaper), [{ kind: 'tbf', options: { rate: 2_000_000 } }])
    const filter = output(node.host, 'tc', ['filter', 'show', 'dev', 'veth0', 'ingress'])
    t.match(filter, `Egress Redirect to device ${shaper}`)
    t.match(node.host.link.get(shaper), { alias: 'fairlead:net/c1/eth0', mtu: 1500, up: true, txQueueLength: 0 })
    const check = (): unknown => node.call('CHECK', pod, config({ ...both, prevResult: result }))
    check()
    const bucket = 'qdisc change dev veth0 root handle 1ead: tbf burst 100kb limit 125000 rate'
    for (const [program, breakage, repair, message] of [
      ['tc', `${bucket} 9mbit`, `${bucket} 8mbit`, /rate of veth0/],
      ['ip', `link set ${shaper} down`, `link set ${shaper} up`, /state of bwp/],
      ['tc', 'qdisc del dev veth0 ingress', '', /does not go through/],
      ['tc', 'qdisc del dev veth0 root', '', /has lost its limit/],
    ] as const) {
      output(node.host, program, breakage.split(' '))
      t.throws(check, { code: 102, message }, message.source)
      if (repair) output(node.host, program, repair.split(' '))
    }
    node.call('DEL', pod, config())
    t.same([shapers(node.host), disciplines(node.host, 'veth0')], [[], []])
    node.call('DEL', pod, config({ prevResult: undefined }))
  })

  t.test('one direction only, as containerd asks for it', async t => {
    const { node, pod, config } = prepared(t)
    const asked = { IngressRate: 8_000_000, IngressBurst: 4_294_967_295, EgressRate: 0, EgressBurst: 0 }
    const keys = { runtimeConfig: { bandwidth: asked } }
    const result = node.call('ADD', pod, config(keys))
    t.match(disciplines(node.host, 'veth0'), [{ kind: 'tbf' }])
    t.same(shapers(node.host), [])
    node.call('CHECK', pod, config({ ...keys, prevResult: result }))
    node.call('DEL', pod, config({}))
    t.same(disciplines(node.host, 'veth0'), [])
  })

  t.test('two interfaces of a container in one network', async t => {
    const { node, pod, config } = prepared(t)
    const second = { ifName: 'eth1' }
    const [one, two] = [node.call('ADD', pod, config()), node.call('ADD', pod, config(), second)]
    t.equal(shapers(node.host).length, 2)
    node.call('CHECK', pod, config({ ...both, prevResult: one }))
    node.call('CHECK', pod, config({ ...both, prevResult: two }), second)
    node.call('DEL', pod, config())
    node.call('CHECK', pod, config({ ...both, prevResult: two }), second)
    node.call('DEL', undefined, config(), second)
    t.same(shapers(node.host), [], 'by names alone when the namespace is gone')
  })

  t.test('what others have on the pair stays', async t => {
    const { node, pod, config } = prepared(t)
    output(node.host, 'tc', ['qdisc', 'add', 'dev', 'veth0', 'clsact'])
    t.throws(() => node.call('ADD', pod, config()), { message: /qdisc/ })
    t.match(disciplines(node.host, 'veth0'), [{ kind: 'clsact' }], 'a failed ADD takes back its own')
    node.call('DEL', pod, config())
    t.match(disciplines(node.host, 'veth0'), [{ kind: 'clsact' }])
    t.same(shapers(node.host), [])
  })

  t.test('a second ADD is refused and changes nothing', async t => {
    const { node, pod, config } = prepared(t)
    const seen = (): unknown => [disciplines(node.host, 'veth0'), node.links]
    const { ingressRate, ingressBurst, ...egress } = both
    for (const first of [both, { ingressRate, ingressBurst }, egress]) {
      const result = node.call('ADD', pod, config(first))
      const before = seen()
      t.throws(() => node.call('ADD', pod, config()), { code: 50, message: /veth0 has a qdisc already/ })
      t.same(seen(), before)
      node.call('CHECK', pod, config({ ...first, prevResult: result }))
      node.call('DEL', pod, config(first))
      t.same(disciplines(node.host, 'veth0'), [])
    }
  })

  t.test('DEL removes nothing of another network\'s, and no stranger\'s limit', async t => {
    const { node, pod, config } = prepared(t)
    node.host.link.set(node.host.link.get('veth0').index, { alias: 'fairlead:net/c1/eth0' })
    const result = node.call('ADD', pod, config())
    node.call('DEL', pod, config({ name: 'other' }))
    node.call('CHECK', pod, config({ ...both, prevResult: result }))
    node.call('DEL', pod, config())
    output(node.host, 'tc', 'qdisc add dev veth0 root handle 1: tbf rate 1mbit burst 10kb latency 50ms'.split(' '))
    output(node.host, 'tc', 'qdisc add dev veth0 ingress'.split(' '))
    node.call('DEL', pod, config())
    t.match(disciplines(node.host, 'veth0'), [{ kind: 'tbf' }, { kind: 'ingress' }])
  })

  t.test('a link that is no pair is refused in words', async t => {
    const { node, pod, config } = prepared(t)
    pod.link.add({ name: 'other0', info: { kind: 'ifb' } })
    const add = (ifName: string) => () => node.call('ADD', pod, config(), { ifName })
    t.throws(add('other0'), { code: 104, message: /other0 has no end on the host: it is of kind ifb/ })
    t.throws(add('none0'), { code: 4, message: /none0 does not exist/ })
    t.throws(() => node.call('ADD', pod, config({ prevResult: undefined })), { code: 7, message: /prevResult/ })
  })

  t.test('GC frees what is dead, and nothing else', async t => {
    const { node, pod, config } = prepared(t)
    node.call('ADD', pod, config())
    node.call('ADD', pod, config({ ...both, name: 'other' }), { ifName: 'eth1' })
    node.host.link.add({ name: 'bwp012345678901', info: { kind: 'ifb' } })
    const gc = (...valid: Json[]): void => {
      node.call('GC', undefined, config({ 'cni.dev/valid-attachments': valid }))
    }
    gc({ containerID: 'c1', ifname: 'eth0' })
    t.equal(shapers(node.host).length, 3)
    gc({ containerID: 'c2', ifname: 'eth0' })
    t.same(shapers(node.host).length, 2, 'another network\'s and a stranger\'s stay')
  })

  t.test('STATUS', async t => {
    const { node, config } = prepared(t)
    const before = [node.links, disciplines(node.host, 'lo')]
    node.call('STATUS', undefined, config())
    t.same([node.links, disciplines(node.host, 'lo')], before, 'looking changes nothing')
    t.throws(() => node.call('STATUS', undefined, config({ ingressRate: 1 })), { code: 7, message: /ingressBurst/ })
  })
})

test('either plugin deletes and checks what the other has made', {
  skip: skip || lacksReference('bandwidth', 'tc'),
}, async t => {
  const { node, pod, config } = prepared(t)
  const old = (keys: Json = {}): Json => ({ ...config({ ...both, ...keys }, '1.0.0') })
  const reference = (verb: 'ADD' | 'CHECK' | 'DEL', keys?: Json): void =>
    refer(node.host, { plugin: 'bandwidth', verb, containerId: 'c1', pod, config: old(keys) })
  const result = node.call('ADD', pod, old())
  reference('CHECK', { prevResult: result })
  reference('DEL')
  t.same(shapers(node.host), [], 'its DEL knows our name')
  node.call('DEL', pod, old())
  t.same(disciplines(node.host, 'veth0'), [])
  reference('ADD')
  const [name] = shapers(node.host)
  const interfaces = [{ name: 'veth0' }, { name: 'eth0', sandbox: pod.path }, { name }]
  node.call('CHECK', pod, old({ prevResult: { cniVersion: '1.0.0', interfaces } }))
  node.call('DEL', pod, old())
  t.same([shapers(node.host), disciplines(node.host, 'veth0')], [[], []])
  reference('ADD')
  node.call('DEL', undefined, old({ prevResult: undefined }))
  t.same(shapers(node.host), [], 'also without a namespace')
})
