// vrf on interfaces that somebody else has made, seen with ip and packets.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { writeSysctl } from '#net/sysctl.ts'
import { anotherNamespace, connect, kernelLacks, lacks, observe, output, ownNamespace } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { vrf } from './vrf.ts'

type Test = Parameters<typeof ownNamespace>[0]

interface Place { readonly node: Node; readonly pod: Namespace; readonly routers: readonly Namespace[] }

/**
 * A container with two interfaces whose networks have the same addresses, each with a router. Behind the first one is
 * 192.0.2.1 and 2001:db8::1, behind the second 192.0.2.2 and 2001:db8::2.
 */
const twins = (t: Test): Place => {
  const node = new Node(t, vrf, { vrfname: 'blue' })
  const pod = node.pod()
  const routers = [1, 2].map(i => {
    const router = anotherNamespace(t)
    connect(
      { ns: pod, name: `eth${i}`, addresses: ['10.1.0.2/24', 'fd00:1::2/64'] },
      { ns: router, name: 'inner0', addresses: ['10.1.0.1/24', 'fd00:1::1/64'] },
    )
    const lo = router.link.get('lo').index
    router.addr.add({ index: lo, address: `192.0.2.${i}/32` })
    router.addr.add({ index: lo, address: `2001:db8::${i}/128`, noDad: true })
    return router
  })
  return { node, pod, routers }
}

const prevResult = (pod: Namespace, name: string): Json => ({
  cniVersion: '1.1.0', interfaces: [{ name, sandbox: pod.path }],
  ips: [{ address: '10.1.0.2/24', interface: 0 }, { address: 'fd00:1::2/64', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: '::/0', gw: 'fd00:1::1' }],
})

/** One verb for an interface; ADD after its default routes have been made. */
const call = ({ node, pod }: Place, verb: string, ifName: string, keys: Json = {}): Json | undefined => {
  if (verb === 'ADD') {
    const dev = pod.link.get(ifName).index
    pod.route.add({ dst: '0.0.0.0/0', dev, via: '10.1.0.1' })
    pod.route.add({ dst: '::/0', dev, via: 'fd00:1::1' })
  }
  return node.call(verb, pod, node.config({ prevResult: prevResult(pod, ifName), ...keys }), { ifName })
}

/** Whether a ping from within a VRF comes back. */
const answers = (pod: Namespace, from: string, to: string): boolean => {
  try {
    output(pod, 'ping', ['-n', '-c1', '-W1', '-I', from, to])
    return true
  } catch {
    return false
  }
}

const vrfs = (pod: Namespace): string[] =>
  pod.link.list().filter(({ info }) => info.kind === 'vrf').map(({ name, info }) => `${name} ${info.table}`)

/** Everything but what the kernel takes its time for. */
const everything = (pod: Namespace): string[] => [
  output(pod, 'ip', ['address', 'show']).replace(/qdisc \w+|\w+_lft \S+/g, ''),
  ...['-4', '-6'].map(family => output(pod, 'ip', [family, 'route', 'show', 'table', 'main'])),
]

test('a kernel without VRFs', {
  skip: lacks('ip') || (kernelLacks('vrf') === false && 'this one has them'),
}, async t => {
  const place = twins(t)
  t.throws(() => place.node.call('STATUS', undefined), { code: 50, message: /vrf links/ })
  t.throws(() => call(place, 'ADD', 'eth1'), { code: 'EOPNOTSUPP', message: /type vrf/ })
  t.same(vrfs(place.pod), [])
})

test('vrf', { skip: lacks('ip') || lacks('ping') || kernelLacks('vrf') }, async t => {
  t.test('two networks with the same addresses in one container', async t => {
    const place = twins(t)
    const { node, pod } = place
    node.call('STATUS', undefined)
    t.match(call(place, 'ADD', 'eth1'), { ips: [{ address: '10.1.0.2/24' }, {}] }, 'the result is handed on')
    call(place, 'ADD', 'eth2', { vrfname: 'red', table: 4000 })
    t.same(vrfs(pod), ['blue 1', 'red 4000'])
    t.match(observe(pod, 'ip', '-j', 'link', 'show', 'blue'), [{ ifalias: 'fairlead:net/' }])
    const reached = (from: string): string[] =>
      ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'].filter(to => answers(pod, from, to))
    t.same(reached('blue'), ['192.0.2.1', '2001:db8::1'])
    t.same(reached('red'), ['192.0.2.2', '2001:db8::2'])
    call(place, 'CHECK', 'eth1')
    call(place, 'CHECK', 'eth2', { vrfname: 'red', table: 4000 })
    t.same(call(place, 'ADD', 'eth1'), prevResult(pod, 'eth1'), 'a second ADD finds all done')
    call(place, 'DEL', 'eth1')
    t.same(vrfs(pod), ['red 4000'])
    call(place, 'DEL', 'eth1')
    call(place, 'DEL', 'eth2', { vrfname: 'red', prevResult: undefined })
    t.same(vrfs(pod), [])
    t.equal(pod.link.get('eth2').master, undefined)
  })

  t.test('two interfaces in one VRF, which forwards between them and to nobody else', async t => {
    const place = twins(t)
    const { pod, routers: [one, two] } = place
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) pod.run(() => writeSysctl(name, '1'))
    for (const [i, name] of ['eth1', 'eth2'].entries()) {
      const { index } = pod.link.get(name)
      pod.addr.add({ index, address: `10.2.${i}.2/24` })
      pod.addr.add({ index, address: `fd00:2:${i}::2/64`, noDad: true })
    }
    for (const [i, router] of [one!, two!].entries()) {
      const dev = router.link.get('inner0').index
      router.addr.add({ index: dev, address: `10.2.${i}.1/24` })
      router.addr.add({ index: dev, address: `fd00:2:${i}::1/64`, noDad: true })
      router.route.add({ dst: `10.2.${1 - i}.0/24`, dev, via: `10.2.${i}.2` })
      router.route.add({ dst: `fd00:2:${1 - i}::/64`, dev, via: `fd00:2:${i}::2` })
    }
    call(place, 'ADD', 'eth1')
    t.notOk(answers(one!, '10.2.0.1', '10.2.1.1'), 'from the VRF there is no way to the other interface')
    call(place, 'ADD', 'eth2')
    t.same(vrfs(pod), ['blue 1'])
    t.ok(answers(one!, '10.2.0.1', '10.2.1.1'))
    t.ok(answers(one!, 'fd00:2:0::1', 'fd00:2:1::1'))
    call(place, 'DEL', 'eth1')
    t.same(vrfs(pod), ['blue 1'], 'the VRF stays with its last port')
    call(place, 'CHECK', 'eth2')
    pod.link.remove('eth2')
    call(place, 'DEL', 'eth2')
    t.same(vrfs(pod), [], 'and goes also when that has gone before')
  })

  t.test('what cannot be is refused, and nothing is touched', async t => {
    const place = twins(t)
    const { node, pod } = place
    output(pod, 'ip', ['link', 'add', 'red', 'type', 'vrf', 'table', '9'])
    output(pod, 'ip', ['link', 'add', 'br0', 'type', 'bridge'])
    const config = (keys: Json): Json => node.config({ prevResult: prevResult(pod, 'eth1'), ...keys })
    const add = (keys: Json, ifName = 'eth1') => (): unknown => node.call('ADD', pod, config(keys), { ifName })
    const before = everything(pod)
    for (const [keys, message] of [
      [{ vrfname: undefined }, /vrfname is missing/], [{ vrfname: 'a b' }, /vrfname/], [{ vrfname: '..' }, /vrfname/],
      [{ prevResult: undefined }, /prevResult/], [{ table: 'main' }, /table "main"/], [{ vrfname: 'eth2' }, /no VRF/],
      [{ vrfname: 'eth1' }, /no VRF/], [{ vrfname: 'red', table: 10 }, /table 10.*table 9/],
    ] as const) t.throws(add(keys), { code: 7, message }, message.source)
    t.throws(add({}, 'eth7'), { code: 4, message: /eth7 does not exist/ })
    t.same(everything(pod), before)
    output(pod, 'ip', ['link', 'set', 'eth1', 'master', 'br0'])
    t.throws(add({}), { code: 7, message: /eth1 has the master br0/ })
    t.same(vrfs(pod), ['red 9'])
    call(place, 'DEL', 'eth1')
    t.ok(pod.link.get('eth1').master, 'another\'s port is left alone')
  })

  t.test('a table that nothing speaks of', async t => {
    const place = twins(t)
    const { pod } = place
    output(pod, 'ip', ['rule', 'add', 'from', '192.0.2.7', 'lookup', '1'])
    output(pod, 'ip', ['route', 'add', 'unreachable', '192.0.2.8', 'table', '2'])
    output(pod, 'ip', ['route', 'add', '192.0.2.9', 'dev', 'eth2', 'table', '3'])
    output(pod, 'ip', ['link', 'add', 'red', 'type', 'vrf', 'table', '4'])
    call(place, 'ADD', 'eth1')
    t.same(vrfs(pod), ['red 4', 'blue 5'])
  })

  t.test('a VRF that was there before stays, and one that was down comes up', async t => {
    const place = twins(t)
    const { node, pod } = place
    output(pod, 'ip', ['link', 'add', 'blue', 'type', 'vrf', 'table', '9'])
    node.call('DEL', pod, node.config({ prevResult: prevResult(pod, 'eth1') }), { ifName: 'eth1' })
    t.same(vrfs(pod), ['blue 9'], 'DEL of what never was')
    call(place, 'ADD', 'eth1')
    t.ok(pod.link.get('blue').up)
    call(place, 'CHECK', 'eth1')
    call(place, 'ADD', 'eth2', { table: 9 })
    call(place, 'DEL', 'eth1')
    call(place, 'DEL', 'eth2')
    t.same(vrfs(pod), ['blue 9'])
    t.same(pod.link.get('blue').altNames, undefined, 'without a trace')
  })

  t.test('CHECK sees what is not as it was', async t => {
    const place = twins(t)
    const { pod } = place
    const ip = (...args: string[]): unknown => output(pod, 'ip', args)
    call(place, 'ADD', 'eth1')
    const check = (keys: Json = {}) => (): unknown => call(place, 'CHECK', 'eth1', keys)
    t.throws(check({ prevResult: undefined }), { code: 7, message: /prevResult/ })
    t.throws(check({ table: 7 }), { code: 102, message: /table of blue is 1, expected 7/ })
    ip('route', 'del', 'default', 'table', '1')
    t.throws(check(), { code: 102, message: /ipv4 route 0\.0\.0\.0\/0/ })
    ip('route', 'add', 'default', 'via', '10.1.0.1', 'table', '1')
    check()()
    ip('-6', 'address', 'del', 'fd00:1::2/64', 'dev', 'eth1')
    t.throws(check(), { code: 102, message: /lost fd00:1::2/ })
    ip('link', 'set', 'blue', 'down')
    t.throws(check(), { code: 102, message: /state of blue/ })
    ip('link', 'set', 'eth1', 'nomaster')
    ip('link', 'set', 'blue', 'up')
    t.throws(check(), { code: 102, message: /master of eth1/ })
    ip('link', 'del', 'blue')
    t.throws(check(), { code: 102, message: /VRF blue is missing/ })
  })

  t.test('DEL of little', async t => {
    const place = twins(t)
    const { node, pod } = place
    node.call('DEL', undefined)
    node.call('DEL', pod, node.config(), { ifName: 'eth7' })
    call(place, 'ADD', 'eth1')
    call(place, 'DEL', 'eth1', { vrfname: undefined, prevResult: undefined })
    t.same(vrfs(pod), [], 'without the name it is the VRF that the interface is in')
    node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': [] }))
  })
})
