// The ptp driver between containers, their host and a neighbour behind it, seen with ip, nft and packets.
import { spawnSync } from 'node:child_process'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { hostLinkName } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { readSysctl, writeSysctl } from '#net/sysctl.ts'
import { kernelLacks, lacks, observe, output, ownNamespace, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { ptp } from './ptp.ts'

const skip = lacks('ip') || lacks('nft') || lacks('ping') || kernelLacks('veth')

const everywhere = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
const far = ['10.9.0.2', 'fd00:9::2']
const gateways = ['10.1.2.1', 'fd00:1::1']

type Test = Parameters<typeof ownNamespace>[0]

/** A host at 10.9.0.1, a neighbour at 10.9.0.2 who knows the way to the containers only if `isRouted`. */
const routed = (t: Test, basis: Json = {}, isRouted = true): { node: Node; there: Namespace } => {
  const node = new Node(t, ptp, basis)
  const there = node.uplink({ own: ['10.9.0.1/24', 'fd00:9::1/64'], there: ['10.9.0.2/24', 'fd00:9::2/64'] })
  const dev = there.link.get('out0').index
  if (isRouted) {
    there.route.add({ dst: '10.0.0.0/8', dev, via: '10.9.0.1' })
    there.route.add({ dst: 'fd00::/16', dev, via: 'fd00:9::1' })
  }
  return { node, there }
}

const dual = (node: Node, extra: Json = {}): Json =>
  node.config({ ipam: { ...node.ipam('10.1.2.0/24', 'fd00:1::/64'), routes: everywhere }, ...extra })

const fixed = (node: Node, ...addresses: readonly Json[]): Json =>
  node.config({ ipam: { type: 'static', addresses, routes: everywhere } })

const port = (containerId = 'c1', ifName = 'eth0'): string =>
  hostLinkName({ network: 'net', containerId, ifName })

/** Whether a ping with these options is answered. */
const answers = (from: Namespace, ...options: readonly string[]): boolean =>
  from.run(() => spawnSync('ping', ['-n', '-c1', '-W1', ...options])).status === 0

test('ptp', { skip }, async t => {
  t.test('container, gateway, network behind it and other containers reach each other at once', async t => {
    const { node, there } = routed(t)
    // As on any host: what tools/kernel.ts switches off must not be what makes IPv6 work from the first packet on.
    writeSysctl('ipv6/conf/default/accept_dad', '1')
    // And as on a careful one.
    writeSysctl('ipv6/conf/default/disable_ipv6', '1')
    writeSysctl('ipv4/conf/all/rp_filter', '1')
    const [one, two] = [node.pod(), node.pod()]
    const config = dual(node, { mtu: 1400 })
    const result = node.call('ADD', one, config)
    for (const address of ['10.1.2.2', 'fd00:1::2']) t.ok(pings(there, address), `from outside to ${address}, unasked`)
    t.match(result, {
      interfaces: [{ name: port(), mtu: 1400 }, { name: 'eth0', mtu: 1400, sandbox: one.path }],
      ips: [
        { address: '10.1.2.2/24', gateway: '10.1.2.1', interface: 1 },
        { address: 'fd00:1::2/64', gateway: 'fd00:1::1', interface: 1 },
      ],
    })
    node.call('ADD', two, config, { containerId: 'c2' })
    for (const address of [...gateways, ...far, '10.1.2.3', 'fd00:1::3']) t.ok(pings(one, address), `to ${address}`)
    t.match(observe(node.host, 'ip', '-j', 'route', 'show', '10.1.2.2'), [{ dst: '10.1.2.2', dev: port() }])
    t.match(observe(node.host, 'ip', '-j', 'address', 'show', port()), [
      { ifalias: undefined, addr_info: [{ local: '10.1.2.1', prefixlen: 32 }, { local: 'fd00:1::1', prefixlen: 128 }] },
    ])
    t.equal(readSysctl(`ipv6/conf/${port()}/accept_ra`), '0')
    t.match(observe(one, 'ip', '-j', 'route'), [
      { dst: 'default', gateway: '10.1.2.1' }, { dst: '10.1.2.0/24', gateway: '10.1.2.1' },
      { dst: '10.1.2.1', gateway: undefined },
    ])
    node.call('CHECK', one, { ...config, prevResult: result })
  })

  t.test('the largest packet is as large as the mtu says', async t => {
    const { node } = routed(t)
    const pod = node.pod()
    node.call('ADD', pod, dual(node, { mtu: 1400 }))
    const headers = { '10.9.0.2': 28, 'fd00:9::2': 48 }
    for (const [address, header] of Object.entries(headers)) {
      t.ok(answers(pod, '-M', 'do', '-s', `${1400 - header}`, address), address)
      t.notOk(answers(pod, '-M', 'do', '-s', `${1401 - header}`, address), `${address}, a byte more`)
    }
    const small = dual(node, { mtu: 1000 })
    t.throws(() => node.call('ADD', node.pod(), small, { containerId: 'c2' }), { code: 7, message: /mtu 1000/ })
    t.same(node.links, ['up0', port()])
  })

  for (const backend of ['nftables', 'iptables']) {
    t.test(`masquerading by ${backend}: who is far away sees the host`, { skip: lacks('iptables') }, async t => {
      const { node, there } = routed(t, { ipMasq: true, ipMasqBackend: backend }, false)
      output(there, 'nft', ['-f', '-'], [
        'add table inet seen', 'add chain inet seen in { type filter hook input priority 0; }',
        'add rule inet seen in ip saddr 10.9.0.1 icmp type echo-request counter',
        'add rule inet seen in ip6 saddr fd00:9::1 icmpv6 type echo-request counter',
        'add rule inet seen in ip saddr 10.1.2.0/24 counter',
      ].join('\n'))
      const [pod, plain] = [node.pod(), node.pod()]
      const result = node.call('ADD', pod, dual(node))
      node.call('ADD', plain, dual(node, { ipMasq: false }), { containerId: 'c2' })
      for (const address of far) t.ok(pings(pod, address), address)
      t.notOk(pings(plain, '10.9.0.2'), 'without it nobody there knows whom to answer')
      const seen = output(there, 'nft', ['list', 'table', 'inet', 'seen'])
      t.same([...seen.matchAll(/counter packets (\d+)/g)].map(([, count]) => count), ['1', '1', '1'])
      t.ok(pings(pod, '10.1.2.3'), 'within the subnet nothing is hidden')
      node.call('CHECK', pod, { ...dual(node), prevResult: result })
      node.call('DEL', undefined, dual(node))
      t.notMatch(output(node.host, 'nft', ['list', 'ruleset']), /10\.1\.2\.2|fd00:1::2|c1/)
    })
  }

  t.test('layer 2: a bare pair, which nothing is routed over', async t => {
    const { node, there } = routed(t)
    const pod = node.pod()
    const result = node.call('ADD', pod)
    t.match(result, { interfaces: [{ name: port() }, { name: 'eth0' }], ips: undefined })
    for (const [ns, name] of [[pod, 'eth0'], [node.host, port()]] as const) {
      const { index } = ns.link.get(name)
      t.match(observe(ns, 'ip', '-j', 'link', 'show', name), [{ operstate: 'UP' }], name)
      t.same(ns.addr.list(index).filter(({ address }) => !address.startsWith('fe80:')), [], name)
      ns.addr.add({ index, address: ns === pod ? '10.5.0.2/24' : '10.5.0.1/24' })
    }
    pod.route.add({ dst: '0.0.0.0/0', dev: pod.link.get('eth0').index, via: '10.5.0.1' })
    t.ok(pings(pod, '10.5.0.1'), 'frames pass')
    t.notOk(pings(pod, '10.9.0.2'), 'packets do not')
    t.notOk(pings(there, '10.5.0.2'))
    t.equal(readSysctl('ipv4/ip_forward'), '0')
    node.call('CHECK', pod, node.config({ prevResult: result }))
    t.throws(() => node.call('ADD', node.pod(), node.config({ cniVersion: '0.2.0' })), { code: 7 })
    node.call('DEL', pod)
    t.same(node.links, ['up0'])
  })

  t.test('one container in two networks', async t => {
    const { node } = routed(t)
    const pod = node.pod()
    const other = node.config({ name: 'other', ipam: node.ipam('10.3.0.0/16', 'fd00:3::/64') })
    const results = [
      node.call('ADD', pod, dual(node)), node.call('ADD', pod, other, { ifName: 'eth1' }),
    ]
    for (const address of [...gateways, ...far, '10.3.0.1', 'fd00:3::1']) t.ok(pings(pod, address), address)
    for (const address of ['10.1.2.2', '10.3.0.2', 'fd00:3::2']) t.ok(pings(node.host, address), `host to ${address}`)
    node.call('CHECK', pod, { ...dual(node), prevResult: results[0] })
    node.call('CHECK', pod, { ...other, prevResult: results[1] }, { ifName: 'eth1' })
  })

  t.test('two links of a container to one subnet: when the older goes, the other takes its place', async t => {
    const { node, there } = routed(t)
    const pod = node.pod()
    const results = ['eth0', 'eth1'].map(ifName => node.call('ADD', pod, dual(node), { ifName }))
    for (const address of [...gateways, ...far]) t.ok(pings(pod, address), address)
    for (const address of ['10.1.2.2', '10.1.2.3', 'fd00:1::2', 'fd00:1::3']) t.ok(pings(there, address), address)
    ;['eth0', 'eth1'].forEach((ifName, at) =>
      node.call('CHECK', pod, { ...dual(node), prevResult: results[at] }, { ifName }))
    node.call('DEL', pod, dual(node))
    for (const address of [...gateways, ...far]) t.ok(pings(pod, address), `${address} by eth1`)
    node.call('CHECK', pod, { ...dual(node), prevResult: results[1] }, { ifName: 'eth1' })
  })

  t.test('addresses that are subnets by themselves, and gateways of any kind', async t => {
    const { node } = routed(t)
    const pods = [node.pod(), node.pod()]
    pods.forEach((pod, i) => {
      const config = fixed(
        node, { address: `10.7.0.${i + 2}/32`, gateway: '169.254.1.1' },
        { address: `fd00:7::${i + 2}/128`, gateway: 'fe80::1' },
      )
      const prevResult = node.call('ADD', pod, config, { containerId: `c${i}` })
      node.call('CHECK', pod, { ...config, prevResult }, { containerId: `c${i}` })
    })
    for (const address of [...far, '10.7.0.3', 'fd00:7::3']) t.ok(pings(pods[0]!, address), address)
  })

  t.test('a gateway that nobody names is the first address of the subnet', async t => {
    const { node } = routed(t)
    const pod = node.pod()
    const result = node.call('ADD', pod, fixed(node, { address: '10.8.0.9/24' }, { address: 'fd00:8::9/64' }))
    t.match(result, { ips: [{ gateway: '10.8.0.1' }, { gateway: 'fd00:8::1' }] })
    for (const address of ['10.8.0.1', 'fd00:8::1', ...far]) t.ok(pings(pod, address), address)
    for (const [address, gateway] of [['10.8.0.9/32'], ['10.8.0.1/24'], ['10.8.0.9/24', '10.8.0.9']] as const) {
      const config = fixed(node, { address, gateway })
      t.throws(() => node.call('ADD', node.pod(), config, { containerId: 'c2' }), { code: 105 }, address)
    }
    t.same(node.links, ['up0', port()])
  })

  t.test('duplicate address detection is waited for', async t => {
    const { node } = routed(t)
    const pod = node.pod()
    node.call('ADD', pod, dual(node, { enabledad: true }))
    t.notMatch(output(pod, 'ip', ['address', 'show', 'dev', 'eth0', 'scope', 'global']), /tentative|nodad/)
    for (const address of far) t.ok(pings(pod, address), address)
  })

  t.test('the result of 0.2.0', async t => {
    const { node } = routed(t)
    t.same(node.call('ADD', node.pod(), dual(node, { cniVersion: '0.2.0' })), {
      cniVersion: '0.2.0',
      ip4: { ip: '10.1.2.2/24', gateway: '10.1.2.1', routes: [{ dst: '0.0.0.0/0', gw: undefined }] },
      ip6: { ip: 'fd00:1::2/64', gateway: 'fd00:1::1', routes: [{ dst: '::/0', gw: undefined }] },
      dns: {},
    })
  })
})
