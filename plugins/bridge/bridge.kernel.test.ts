// The bridge driver in namespaces of its own, seen with ip, bridge, nft and packets.
import { spawnSync } from 'node:child_process'
import { test } from 'tap'
import { hostLinkName } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { lacks, observe, output, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { bridge } from './bridge.ts'

const REFERENCE = '/usr/lib/cni'

const skip = lacks('ip') || lacks('nft') || lacks('ping')

test('bridge', { skip }, async t => {
  const node = new Node(t, bridge, { bridge: 'br0', isDefaultGateway: true }, '10.1.2.0/24', 'fd00:1::/64')
  const { host } = node

  t.test('two containers reach each other and their gateway at once, and DEL leaves the bridge only', async t => {
    const [one, two] = [node.pod(), node.pod()]
    const result = node.call('ADD', one, node.config({ mtu: 1400 }))
    t.match(result, {
      interfaces: [
        { name: 'br0', mtu: 1400 },
        { name: hostLinkName({ network: 'net', containerId: 'c1', ifName: 'eth0' }) },
        { name: 'eth0', mtu: 1400, sandbox: one.path },
      ],
      ips: [{ address: '10.1.2.2/24', gateway: '10.1.2.1', interface: 2 }, { address: 'fd00:1::2/64', interface: 2 }],
      routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1' }, { dst: '::/0', gw: 'fd00:1::1' }],
    })
    node.call('ADD', two, node.config({ mtu: 1400 }), { containerId: 'c2' })
    for (const address of ['10.1.2.3', 'fd00:1::3', '10.1.2.1', 'fd00:1::1']) t.ok(pings(one, address), address)
    node.call('CHECK', one, { ...node.config({ mtu: 1400 }), prevResult: result })
    node.call('DEL', one, node.config({}))
    node.call('DEL', undefined, node.config({}), { containerId: 'c2' })
    t.same(node.links, ['br0'])
    t.same(node.recorded(), [])
    t.equal(one.link.find('eth0'), undefined)
  })

  t.test('the bridge keeps its address while containers come and go, and takes no router advertisements', async t => {
    const before = host.link.get('br0').address
    const pod = node.pod()
    node.call('ADD', pod, node.config({}))
    t.equal(host.link.get('br0').address, before)
    const port = hostLinkName({ network: 'net', containerId: 'c1', ifName: 'eth0' })
    const settings = ['br0', port].map(name => `/proc/sys/net/ipv6/conf/${name}/accept_ra`)
    t.equal(output(host, 'cat', settings), '0\n0\n')
    t.match(observe(host, 'ip', '-j', 'link', 'show', port), [{ ifalias: 'fairlead:net/c1/eth0' }])
    node.call('DEL', pod, node.config({}))
  })

  t.test('isolated ports reach the gateway and not each other', async t => {
    const pods = [node.pod(), node.pod()]
    pods.forEach((pod, i) => node.call('ADD', pod, node.config({ portIsolation: true }), { containerId: `c${i}` }))
    const [, address = ''] = pods.map(pod => pod.addr.list(pod.link.get('eth0').index)[0]!.address.split('/')[0]!)
    t.ok(pings(pods[0]!, '10.1.2.1'))
    t.notOk(pings(pods[0]!, address))
    pods.forEach((pod, i) => node.call('DEL', pod, node.config({}), { containerId: `c${i}` }))
  })

  t.test('a network without IPv6 has it switched off in the container', async t => {
    const pod = node.pod()
    const routes = [{ dst: '192.0.2.0/24' }, { dst: '2001:db8::/32' }]
    const ipam = { type: 'host-local', dataDir: node.leases, subnet: '10.1.2.0/24', routes }
    const config = { ...node.config({}), ipam }
    const result = node.call('ADD', pod, config)
    t.match(result, { routes: [{ dst: '192.0.2.0/24' }, { dst: '0.0.0.0/0' }] }, 'a route of IPv6 would lead nowhere')
    const addresses = pod.addr.list(pod.link.get('eth0').index).map(({ address }) => address)
    t.same(addresses.filter(address => address.includes(':')), [])
    node.call('DEL', pod, config)
  })

  t.test('the hardware address: runtimeConfig before args before CNI_ARGS', async t => {
    const sources = [
      {
        wanted: '02:00:00:00:00:0a',
        config: { runtimeConfig: { mac: '02-00-00-00-00-0A' }, args: { cni: { mac: '02:00:00:00:00:0b' } } },
      },
      { wanted: '02:00:00:00:00:0b', config: { args: { cni: { mac: '02:00:00:00:00:0B' } } } },
      { wanted: '02:00:00:00:00:0c', config: {} },
    ]
    for (const { wanted, config } of sources) {
      const pod = node.pod()
      node.call('ADD', pod, node.config(config), { args: 'MAC=02:00:00:00:00:0c' })
      t.equal(pod.link.get('eth0').address, wanted)
      node.call('DEL', pod, node.config({}))
    }
    const multicast = node.config({ runtimeConfig: { mac: '01:00:00:00:00:01' } })
    t.throws(() => node.call('ADD', node.pod(), multicast), { code: 7, message: /runtimeConfig\.mac/ })
  })

  t.test('another address on the bridge is refused with everything taken back, or replaced when forced', async t => {
    const index = host.link.get('br0').index
    host.addr.del({ index, address: '10.1.2.1/24' })
    host.addr.add({ index, address: '10.9.9.1/24' })
    const pod = node.pod()
    t.throws(() => node.call('ADD', pod, node.config({})), { code: 7, message: /10\.9\.9\.1\/24/ })
    t.same(node.links, ['br0'])
    t.same(node.recorded(), [])
    node.call('ADD', pod, node.config({ forceAddress: true }))
    const addresses = host.addr.list(index).map(({ address }) => address)
    t.same(addresses.filter(address => !address.includes(':')), ['10.1.2.1/24'])
    node.call('DEL', pod, node.config({}))
  })

  t.test('CHECK tells what is broken, on either side', async t => {
    const pod = node.pod()
    const config = node.config({ ipMasq: true, macspoofchk: true })
    const previous = { ...config, prevResult: node.call('ADD', pod, config) }
    const port = host.link.get(hostLinkName({ network: 'net', containerId: 'c1', ifName: 'eth0' })).index
    const eth0 = pod.link.get('eth0').index
    const master = host.link.get('br0').index
    node.call('CHECK', pod, previous)
    host.link.set(port, { up: false })
    t.throws(() => node.call('CHECK', pod, previous), { code: 102, message: /down/ })
    host.link.set(port, { up: true })
    host.link.set(master, { up: false })
    t.throws(() => node.call('CHECK', pod, previous), { code: 102, message: /br0/ })
    host.link.set(master, { up: true })
    host.addr.del({ index: master, address: '10.1.2.1/24' })
    t.throws(() => node.call('CHECK', pod, previous), { code: 102, message: /10\.1\.2\.1/ })
    host.addr.add({ index: master, address: '10.1.2.1/24' })
    host.link.set(port, { master: 0 })
    t.throws(() => node.call('CHECK', pod, previous), { code: 102, message: /no port/ })
    host.link.set(port, { master })
    output(host, 'nft', ['flush', 'ruleset'])
    t.throws(() => node.call('CHECK', pod, previous), { code: 102, message: /macspoofchk|masquerade/ })
    pod.addr.del({ index: eth0, address: pod.addr.list(eth0)[0]!.address })
    t.throws(() => node.call('CHECK', pod, previous), { code: 102, message: /lost 10\.1\.2/ })
    node.call('DEL', pod, config)
    t.same(node.recorded(), [])
  })

  t.test('an internal network has no way out', async t => {
    const pod = node.pod()
    t.throws(() => node.call('ADD', pod, node.config({ internal: true })), { code: 7, message: /isDefaultGateway/ })
    const config = node.config({ internal: true, isDefaultGateway: false, isGateway: true })
    node.call('ADD', pod, config)
    t.notOk(pod.route.list().some(({ dst }) => dst.endsWith('/0')))
    t.ok(pings(pod, '10.1.2.1'))
    t.match(output(host, 'nft', ['list', 'ruleset']), /br0/)
    node.call('DEL', pod, config)
  })

  const canFilter = host.vlan.supported() ? 'this kernel can' : false
  t.test('VLAN keys on a kernel that cannot filter VLANs', { skip: canFilter }, async t => {
    const before = node.links
    t.throws(() => node.call('ADD', node.pod(), node.config({ vlan: 100 })), { code: 104, message: /vlan 100/ })
    t.throws(() => node.call('STATUS', undefined, node.config({ vlanTrunk: [{ id: 5 }] })), { code: 104 })
    t.same(node.links, before)
    t.same(node.recorded(), [])
  })

  t.test('GC removes what is not listed, and the bridge with the last', async t => {
    const pods = [node.pod(), node.pod()]
    const config = node.config({ ipMasq: true, macspoofchk: true })
    pods.forEach((pod, i) => node.call('ADD', pod, config, { containerId: `c${i}` }))
    node.call('GC', undefined, { ...config, 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] })
    t.same(node.links, ['br0', hostLinkName({ network: 'net', containerId: 'c1', ifName: 'eth0' })])
    t.equal(node.recorded().length, 2)
    t.notMatch(output(host, 'nft', ['list', 'ruleset']), /net\/c0\//)
    node.call('GC', undefined, { ...config, 'cni.dev/valid-attachments': null })
    t.same(node.links, [])
    t.same(node.recorded(), [])
    t.equal(output(host, 'nft', ['list', 'ruleset']), '')
  })
})

const lacksReference = skip ||
  (spawnSync('test', ['-x', `${REFERENCE}/bridge`]).status === 0 ? false : 'no reference suite')

test('attachments of the Go suite', { skip: lacksReference }, async t => {
  const node = new Node(t, bridge, { bridge: 'br0', isDefaultGateway: true }, '10.1.2.0/24', 'fd00:1::/64')
  const { host } = node
  const reference = (verb: string, pod: Namespace, config: object): string => {
    const run = spawnSync(`${REFERENCE}/bridge`, {
      input: JSON.stringify(config), encoding: 'utf8',
      env: {
        ...process.env, CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0',
        CNI_PATH: REFERENCE,
      },
    })
    if (run.status !== 0) throw new Error(run.stdout)
    return run.stdout
  }
  const old = { ...node.config({ ipMasq: true, macspoofchk: true }), cniVersion: '1.0.0' }

  t.test('are checked and deleted, masquerading and source check included', async t => {
    const pod = node.pod()
    const prevResult = JSON.parse(reference('ADD', pod, old))
    node.call('CHECK', pod, { ...old, ipMasqBackend: 'iptables', macspoofchk: false, prevResult })
    node.call('DEL', pod, old)
    t.same(node.links, ['br0'])
    t.same(node.recorded(), [])
    t.notMatch(output(host, 'iptables-save', []), /CNI-|c1/)
    t.notMatch(output(host, 'nft', ['list', 'ruleset']), /cni-br-iface/)
  })

  t.test('and the Go suite deletes ours', async t => {
    const pod = node.pod()
    const config = { ...node.config({ ipMasq: true, ipMasqBackend: 'iptables' }), cniVersion: '1.0.0' }
    const prevResult = node.call('ADD', pod, config)
    reference('CHECK', pod, { ...config, prevResult })
    reference('DEL', pod, config)
    t.same(node.links, ['br0'])
    t.same(node.recorded(), [])
    t.notMatch(output(host, 'iptables-save', []), /CNI-[0-9a-f]/)
  })
})
