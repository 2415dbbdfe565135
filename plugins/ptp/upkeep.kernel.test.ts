// What comes after and instead of an ADD of the ptp driver: refusals, CHECK, DEL, GC, STATUS.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { hostLinkName } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, output, ownNamespace, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { ptp } from './ptp.ts'

const skip = lacks('ip') || lacks('nft') || lacks('ping') || kernelLacks('veth')

const subnets = ['10.1.2.0/24', 'fd00:1::/64']

type Test = Parameters<typeof ownNamespace>[0]

const host = (t: Test): Node => {
  const node = new Node(t, ptp, { ipMasq: true }, ...subnets)
  mkdirSync(join(node.leases, 'net'))
  return node
}

const port = (containerId = 'c1'): string => hostLinkName({ network: 'net', containerId, ifName: 'eth0' })

/** What containers could leave: links, leases, routes, masquerading. */
const leftovers = (node: Node): string[] => [
  ...node.links, ...node.recorded(),
  ...node.host.route.list().map(({ dst }) => dst).filter(dst => !dst.startsWith('fe80:')),
  ...output(node.host, 'nft', ['list', 'tables']).split('\n').filter(line => line !== ''),
]

test('ADD that has to fail', { skip }, async t => {
  t.test('what cannot be is refused before anything is touched', async t => {
    const node = host(t)
    const refused: [Json, RegExp][] = [
      [{ internal: true }, /internal true/], [{ ipam: {} }, /ipMasq true needs ipam/], [{ mtu: 20 }, /mtu 20/],
      [{ mtu: -1 }, /mtu -1/], [{ ipMasqBackend: 'sideways' }, /ipMasqBackend "sideways"/],
      [{ runtimeConfig: { mac: '01:00:00:00:00:01' } }, /runtimeConfig\.mac/],
    ]
    for (const [keys, message] of refused) {
      t.throws(() => node.call('ADD', node.pod(), node.config(keys)), { code: 7, message }, message.source)
    }
    t.throws(() => node.call('STATUS', undefined, node.config({ internal: true })), { code: 7 })
    t.same(leftovers(node), [])
  })

  t.test('an address that the host reaches elsewhere stays there', async t => {
    const node = host(t)
    node.host.link.add({ name: 'old0', up: true, info: { kind: 'veth', peer: { name: 'old1' } } })
    for (const dst of ['10.1.2.2/32', 'fd00:1::2/128']) {
      const route = { dst, dev: node.host.link.get('old0').index }
      node.host.route.add(route)
      const before = leftovers(node)
      const refusal = { code: 100, message: /10\.1\.2\.2\/32 or fd00:1::2\/128/ }
      const pod = node.pod()
      t.throws(() => node.call('ADD', pod, node.config()), refusal, dst)
      t.same(leftovers(node), before)
      t.equal(pod.link.find('eth0'), undefined)
      node.host.route.del(route)
      for (const index of [0, 1]) output(node.host, 'rm', ['-f', `${node.leases}/net/last_reserved_ip.${index}`])
    }
  })

  t.test('the name is taken', async t => {
    const node = host(t)
    const pod = node.pod()
    node.call('ADD', pod)
    const before = leftovers(node)
    t.throws(() => node.call('ADD', pod, node.config(), { containerId: 'c2' }), { code: 103, message: /eth0/ })
    t.same(leftovers(node), before)
  })
})

test('the hardware address: runtimeConfig before args before CNI_ARGS', { skip }, async t => {
  const node = host(t)
  const sources: [string, Json][] = [
    ['02:00:00:00:00:0a', { runtimeConfig: { mac: '02-00-00-00-00-0A' }, args: { cni: { mac: '02:00:00:00:00:0b' } } }],
    ['02:00:00:00:00:0b', { args: { cni: { mac: '02:00:00:00:00:0B' } } }],
    ['02:00:00:00:00:0c', {}],
  ]
  for (const [wanted, keys] of sources) {
    const pod = node.pod()
    node.call('ADD', pod, node.config(keys), { args: 'MAC=02:00:00:00:00:0c' })
    t.equal(pod.link.get('eth0').address, wanted)
    t.ok(pings(pod, '10.1.2.1'))
    t.match(output(node.host, 'ip', ['neigh', 'show', 'dev', port()]), new RegExp(`lladdr ${wanted}`))
    node.call('DEL', pod)
  }
})

test('CHECK', { skip }, async t => {
  const routes = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
  const attached = (t: Test): { node: Node; pod: Namespace; check: () => void } => {
    const node = host(t)
    const pod = node.pod()
    const config = node.config({ ipam: { ...node.ipam(...subnets), routes } })
    const prevResult = node.call('ADD', pod, config)
    return { node, pod, check: () => node.call('CHECK', pod, { ...config, prevResult }) }
  }

  const breakages: Readonly<Record<string, [string[], RegExp, 'on the host' | 'inside']>> = {
    'route to an IPv4 address': [['ip', 'route', 'del', '10.1.2.2'], /10\.1\.2\.2\/32/, 'on the host'],
    'route to an IPv6 address': [['ip', 'route', 'del', 'fd00:1::2'], /fd00:1::2\/128/, 'on the host'],
    'gateway\'s address': [['ip', 'addr', 'del', '10.1.2.1/32', 'dev', port()], /10\.1\.2\.1\/32/, 'on the host'],
    'IPv6 gateway\'s address': [['ip', 'addr', 'del', 'fd00:1::1/128', 'dev', port()], /fd00:1::1/, 'on the host'],
    'state': [['ip', 'link', 'set', port(), 'down'], /state of veth/, 'on the host'],
    'forwarding': [['sysctl', '-w', 'net.ipv4.ip_forward=0'], /does not forward ipv4/, 'on the host'],
    'masquerading': [['nft', 'flush', 'ruleset'], /masquerade/, 'on the host'],
    'pair': [['ip', 'link', 'del', port()], /eth0 is missing/, 'on the host'],
    'default route': [['ip', 'route', 'del', 'default'], /0\.0\.0\.0\/0/, 'inside'],
    'route to the subnet': [['ip', 'route', 'del', '10.1.2.0/24'], /10\.1\.2\.0\/24/, 'inside'],
    'route to the gateway': [['ip', '-6', 'route', 'del', 'fd00:1::1'], /fd00:1::1\/128/, 'inside'],
    'hardware address': [['ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:09'], /mac of eth0/, 'inside'],
  }
  for (const [what, [[command = '', ...args], message, where]] of Object.entries(breakages)) {
    t.test(`notices the lost ${what} ${where}`, async t => {
      const { node, pod, check } = attached(t)
      check()
      output(where === 'inside' ? pod : node.host, command, args)
      t.throws(check, { code: 102, message })
    })
  }

  t.test('accepts what a later plugin changes', async t => {
    const { pod, check } = attached(t)
    for (const dst of ['default', '10.1.2.0/24', '10.1.2.1']) {
      const [route = ''] = output(pod, 'ip', ['route', 'show', dst]).trim().split('\n')
      output(pod, 'ip', ['route', 'add', ...route.replace('via 10.1.2.1', 'via 10.1.2.1 onlink').split(/\s+/),
        'table', '100'])
      output(pod, 'ip', ['route', 'del', dst])
    }
    output(pod, 'ip', ['link', 'set', 'eth0', 'mtu', '1400'])
    output(pod, 'ip', ['addr', 'add', '192.0.2.1/24', 'dev', 'eth0'])
    t.doesNotThrow(check)
  })
})

test('DEL and GC', { skip }, async t => {
  const ways: Readonly<Record<string, (node: Node, pod: Namespace, result: Json | undefined) => void>> = {
    'as containerd calls it': (node, pod, prevResult) => node.call('DEL', pod, node.config({ prevResult })),
    'without namespace and previous result': node => node.call('DEL', undefined),
    'after the pair has been deleted': (node, pod) => {
      pod.link.remove('eth0')
      node.call('DEL', pod)
    },
    'with a configuration that has become wrong': node => node.call('DEL', undefined, node.config({
      ipMasq: false, mtu: -5, internal: true,
    })),
    'by GC': node => node.call('GC', undefined, node.config({
      'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }],
    })),
  }
  for (const [title, remove] of Object.entries(ways)) {
    t.test(`${title}: its own is gone, its neighbour's stays`, async t => {
      const node = host(t)
      const [pod, neighbour] = [node.pod(), node.pod()]
      t.same(leftovers(node), [])
      node.call('ADD', neighbour, node.config(), { containerId: 'c2' })
      const before = leftovers(node)
      const result = node.call('ADD', pod)
      t.ok(leftovers(node).length > before.length)
      remove(node, pod, result)
      remove(node, pod, result)
      t.same(leftovers(node), before)
      t.notMatch(output(node.host, 'nft', ['list', 'ruleset']), /c1/)
      t.equal(pod.link.find('eth0'), undefined)
      t.ok(pings(neighbour, '10.1.2.1'))
      node.call('DEL', neighbour, node.config(), { containerId: 'c2' })
      t.same(leftovers(node), [])
    })
  }

  t.test('STATUS', async t => {
    const node = host(t)
    node.call('STATUS', undefined)
    t.same(node.links, [])
  })
})
