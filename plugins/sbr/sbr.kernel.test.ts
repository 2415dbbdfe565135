// sbr on a container with two interfaces that somebody else has made, seen with ip and packets.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { waitForCarrier } from '#net/ready.ts'
import { anotherNamespace, connect, lacks, observe, output, ownNamespace, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { lacksReference, refer } from '#tools/reference.ts'
import { sbr } from './sbr.ts'

const skip = lacks('ip') || lacks('ping')

type Test = Parameters<typeof ownNamespace>[0]

interface Place { readonly node: Node; readonly pod: Namespace; readonly routers: readonly Namespace[] }

/** A container on two networks, each with a router that knows a way to 192.0.2.0/24 and 2001:db8::/64 behind it. */
const twoHomed = (t: Test): Place => {
  const node = new Node(t, sbr, {})
  const pod = node.pod()
  const routers = [0, 1].map(i => {
    const router = anotherNamespace(t)
    connect(
      { ns: pod, name: `eth${i}`, addresses: [`10.1.${i}.2/24`, `fd00:${i}::2/64`] },
      { ns: router, name: 'inner0', addresses: [`10.1.${i}.1/24`, `fd00:${i}::1/64`] },
    )
    // The same service behind both; the other container's network is not known to either.
    router.addr.add({ index: router.link.get('lo').index, address: '192.0.2.1/32' })
    router.addr.add({ index: router.link.get('lo').index, address: '2001:db8::1/128', noDad: true })
    return router
  })
  // Until then the kernel lists routes with `linkdown`.
  for (const name of ['eth0', 'eth1']) waitForCarrier(pod, name)
  pod.route.add({ dst: '0.0.0.0/0', dev: pod.link.get('eth0').index, via: '10.1.0.1' })
  pod.route.add({ dst: '::/0', dev: pod.link.get('eth0').index, via: 'fd00:0::1' })
  return { node, pod, routers }
}

const second = ({ node, pod }: Place, keys: Json = {}): Json => node.config({
  prevResult: {
    cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: pod.path }, { name: 'eth1', sandbox: pod.path }],
    ips: [
      { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 0 },
      { address: '10.1.1.2/24', gateway: '10.1.1.1', interface: 1 },
      { address: 'fd00:1::2/64', gateway: 'fd00:1::1', interface: 1 },
    ],
  },
  ...keys,
})

const eth1 = { ifName: 'eth1' }

/** Whether a ping with this source comes back. */
const pingsFrom = (pod: Namespace, source: string, to: string): boolean => {
  try {
    output(pod, 'ping', ['-n', '-c1', '-W1', '-I', source, to])
    return true
  } catch {
    return false
  }
}

const rulesFrom = (pod: Namespace, family: '-4' | '-6'): unknown =>
  (observe(pod, 'ip', family, '-j', 'rule') as { src: string }[]).filter(({ src }) => src !== 'all')

test('sbr', { skip }, async t => {
  t.test('what an address sends leaves by its interface', async t => {
    const place = twoHomed(t)
    const { node, pod } = place
    const before = output(pod, 'ip', ['route'])
    t.notOk(pingsFrom(pod, '10.1.1.2', '192.0.2.1'), 'without rules it goes to the router that does not know it')
    const result = node.call('ADD', pod, second(place), eth1)
    t.match(result, { ips: [{ address: '10.1.0.2/24' }, { address: '10.1.1.2/24' }, {}] }, 'the result is handed on')
    for (const [source, to] of [
      ['10.1.0.2', '192.0.2.1'], ['10.1.1.2', '192.0.2.1'], ['fd00:1::2', '2001:db8::1'], ['fd00:0::2', '2001:db8::1'],
    ] as const) t.ok(pingsFrom(pod, source, to), `${source} to ${to}`)
    t.match(rulesFrom(pod, '-4'), [{ src: '10.1.1.2', table: '100' }])
    t.match(rulesFrom(pod, '-6'), [{ src: 'fd00:1::2', table: '101' }])
    t.same(observe(pod, 'ip', '-j', 'route', 'show', 'dev', 'eth1'), [], 'the main table has lost the interface')
    t.ok(output(pod, 'ip', ['-6', 'route', 'show', 'dev', 'eth1']).includes('fe80::/64'), 'but not its neighbours')
    node.call('CHECK', pod, second(place), eth1)
    output(pod, 'ip', ['route', 'flush', 'table', '100'])
    t.throws(() => node.call('CHECK', pod, second(place), eth1), { code: 102, message: /table 100/ })
    node.call('DEL', pod, second(place), eth1)
    t.same([rulesFrom(pod, '-4'), rulesFrom(pod, '-6')], [[], []])
    t.throws(() => node.call('CHECK', pod, second(place), eth1), { code: 102, message: /rule from 10\.1\.1\.2/ })
    node.call('DEL', pod, second(place, { prevResult: undefined }), eth1)
    node.call('DEL', undefined, second(place), eth1)
    t.match(before, /default via 10\.1\.0\.1/)
  })

  t.test('DEL gives the main table its routes back', async t => {
    const place = twoHomed(t)
    const { node, pod } = place
    const dev = pod.link.get('eth1').index
    pod.route.add({ dst: '198.51.100.0/24', dev, via: '10.1.1.9', priority: 7, mtu: 1300 })
    pod.route.add({ dst: '0.0.0.0/0', dev, via: '10.1.1.1', priority: 9 })
    const routes = (): unknown => pod.route.list().filter(route => route.dev === dev)
      .map(({ protocol: _, scope: __, ...route }) => JSON.stringify(route)).sort()
    const before = routes()
    const routed = [{ dst: '0.0.0.0/0', priority: 9 }]
    const keys = { prevResult: { ...second(place)['prevResult'] as Json, routes: routed } }
    for (const addSourceHints of [false, true]) {
      node.call('ADD', pod, second(place, { ...keys, addSourceHints }), eth1)
      t.not(JSON.stringify(routes()), JSON.stringify(before))
      node.call('DEL', pod, second(place, { ...keys, addSourceHints }), eth1)
      t.same(routes(), before, addSourceHints ? 'with source hints' : 'without')
    }
    node.call('ADD', pod, second(place), eth1)
    node.call('DEL', pod, second(place), eth1)
    t.notMatch(JSON.stringify(routes()), '0.0.0.0/0', 'no default route that nobody has spoken of')
  })

  t.test('a table that is there already gets the rules only', async t => {
    const place = twoHomed(t)
    const { node, pod } = place
    const before = output(pod, 'ip', ['route', 'show', 'table', 'all'])
    node.call('ADD', pod, second(place, { table: 4000 }), eth1)
    t.match(rulesFrom(pod, '-4'), [{ src: '10.1.1.2', table: '4000' }])
    t.equal(output(pod, 'ip', ['route', 'show', 'table', 'all']), before)
    output(pod, 'ip', ['rule', 'add', 'from', '10.1.1.2', 'lookup', '77'])
    node.call('DEL', pod, second(place, { table: 4000 }), eth1)
    t.match(rulesFrom(pod, '-4'), [{ src: '10.1.1.2', table: '77' }], 'another\'s rule stays')
  })

  t.test('gateways of the configuration, and source hints', async t => {
    const place = twoHomed(t)
    const { node, pod } = place
    const ips = [{ address: '10.1.1.2/24', interface: 1 }, { address: 'fd00:1::2/64', interface: 1 }]
    const prevResult = { ...second(place)['prevResult'] as Json, ips }
    const keys = { prevResult, gateways: ['10.1.1.1', 'fd00:1::1'], addSourceHints: true }
    node.call('ADD', pod, second(place, keys), eth1)
    t.ok(pingsFrom(pod, '10.1.1.2', '192.0.2.1'))
    t.ok(pingsFrom(pod, 'fd00:1::2', '2001:db8::1'))
    for (const address of ['10.1.1.1', 'fd00:1::1']) t.ok(pings(pod, address), `${address} without a source`)
    t.match(observe(pod, 'ip', '-j', 'route', 'show', 'dev', 'eth1'), [{ dst: '10.1.1.0/24', prefsrc: '10.1.1.2' }])
  })

  t.test('the next interface takes other tables, and routes are copied', async t => {
    const place = twoHomed(t)
    const { node, pod } = place
    const dev = pod.link.get('eth1').index
    pod.route.add({ dst: '198.51.100.0/24', dev, via: '10.1.1.9', priority: 7, mtu: 1300 })
    node.call('ADD', pod, second(place), eth1)
    node.call('ADD', pod, second(place))
    t.match(rulesFrom(pod, '-4'), [{ src: '10.1.0.2', table: '102' }, { src: '10.1.1.2', table: '100' }])
    const table = output(pod, 'ip', ['route', 'show', 'table', '100'])
    t.match(table, /198\.51\.100\.0\/24 via 10\.1\.1\.9.*metric 7 mtu 1300/)
    t.ok(pingsFrom(pod, '10.1.0.2', '192.0.2.1'))
  })

  t.test('a second ADD, and DEL of another network, change nothing', async t => {
    const place = twoHomed(t)
    const { node, pod } = place
    pod.link.set(pod.link.get('eth1').index, { alias: 'fairlead:net/c1/eth1' })
    const state = (): string[] => [['rule'], ['-6', 'rule'], ['route', 'show', 'table', 'all']]
      .map(args => output(pod, 'ip', args))
    node.call('ADD', pod, second(place), eth1)
    const before = state()
    t.throws(() => node.call('ADD', pod, second(place), eth1), { code: 7, message: /from 10\.1\.1\.2\/32 lookup 100/ })
    node.call('DEL', pod, second(place, { name: 'other', prevResult: undefined }), eth1)
    t.same(state(), before)
    node.call('CHECK', pod, second(place), eth1)
  })

  t.test('what cannot be is refused, and nothing is touched', async t => {
    const place = twoHomed(t)
    const { node, pod } = place
    const before = output(pod, 'ip', ['route', 'show', 'table', 'all'])
    for (const [keys, message] of [
      [{ gateways: ['10.1.1.1', '10.1.1.9'] }, /gateways/], [{ gateways: ['router'] }, /router/],
      [{ prevResult: undefined }, /prevResult/], [{ table: -1 }, /table/],
      [{ table: 254 }, /table 254 is one of the kernel's own/],
    ] as const) t.throws(() => node.call('ADD', pod, second(place, keys), eth1), { code: 7, message })
    const unreachable = { gateways: ['10.1.1.1', 'fd00:9::1'], table: undefined }
    t.doesNotThrow(() => node.call('ADD', pod, second(place, unreachable), eth1), 'a gateway on the link')
    t.not(output(pod, 'ip', ['route', 'show', 'table', 'all']), before)
  })
})

test('either plugin deletes what the other has made', { skip: skip || lacksReference('sbr', 'ip') }, async t => {
  const place = twoHomed(t)
  const { node, pod } = place
  const { prevResult } = second(place) as { prevResult: Json }
  const ips = [{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 0 }]
  const config = node.config({ cniVersion: '1.0.0', prevResult: { ...prevResult, cniVersion: '1.0.0', ips } })
  const reference = (verb: 'ADD' | 'DEL'): void =>
    refer(node.host, { plugin: 'sbr', verb, containerId: 'c1', pod, config })
  node.call('ADD', pod, config)
  t.match(rulesFrom(pod, '-4'), [{ src: '10.1.0.2' }])
  reference('DEL')
  t.same(rulesFrom(pod, '-4'), [])
  output(pod, 'ip', ['route', 'flush', 'table', '100'])
  output(pod, 'ip', ['route', 'replace', '10.1.0.0/24', 'dev', 'eth0'])
  reference('ADD')
  t.match(rulesFrom(pod, '-4'), [{ src: '10.1.0.2' }])
  node.call('CHECK', pod, config)
  node.call('DEL', pod, config)
  t.same(rulesFrom(pod, '-4'), [])
})
