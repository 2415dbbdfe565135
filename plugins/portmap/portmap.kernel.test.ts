// The verbs of portmap: what it makes, what it refuses, and what it leaves.
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { addresses, Bridged } from '#tools/bridged.ts'
import { lacks, observe, output } from '#tools/kernel.ts'
import { portmap } from './portmap.ts'

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

const skip = lacks('nft') || lacks('ip')

const ruleset = ({ host }: Bridged): string => output(host, 'nft', ['list', 'ruleset'])

const config = (scene: Bridged, portMappings: Json[], more: Json = {}): Json => scene.config({
  prevResult: scene.resultFor(scene.first, addresses.pod), runtimeConfig: { portMappings }, ...more,
})

/** The same for another container. */
const neighbourly = (scene: Bridged, portMappings: Json[], more: Json = {}): Json =>
  config(scene, portMappings, { prevResult: scene.resultFor(scene.sibling, addresses.sibling), ...more })

const other = { containerId: 'c2' }
const web = { hostPort: 8080, containerPort: 80 }

interface Parts { readonly concat: readonly (string | number)[] }

/** Elements of a map, `KEY: VALUE`. */
const elements = (scene: Bridged, map: string): string[] => {
  const listed = observe(scene.host, 'nft', '-j', 'list', 'map', 'inet', 'fairlead_published', map)
  const { nftables } = listed as { nftables: { map?: { elem?: [{ elem: { val: Parts } }, Parts][] } }[] }
  return (nftables.find(({ map }) => map)?.map?.elem ?? [])
    .map(([{ elem }, value]) => `${elem.val.concat.join(' ')}: ${value.concat.join(' ')}`).sort()
}

test('what runtimes send', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { first } = scene
  const containerd = config(scene, [
    { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' },
    { HostPort: 53, ContainerPort: 5353, Protocol: 'UDP', HostIP: '192.0.2.1' },
    { hostPort: 9, containerPort: 9, protocol: 'SCTP', hostIP: '::ffff:192.0.2.11' },
    // Twice the same is once.
    web,
  ])
  const result = scene.call('ADD', first, containerd)
  t.match(result, containerd['prevResult'], 'the result is that of the plugins before')
  t.same(elements(scene, 'published4_any'), ['tcp 8080: 10.1.2.2 80'])
  t.same(elements(scene, 'published6_any'), ['tcp 8080: fd00:1::2 80'])
  t.same(elements(scene, 'published4'), ['sctp 192.0.2.11 9: 10.1.2.2 9', 'udp 192.0.2.1 53: 10.1.2.2 5353'])
  scene.call('CHECK', first, containerd)
  scene.call('DEL', first, containerd)
  scene.call('DEL', first, containerd)
  t.equal(ruleset(scene), '')

  t.match(scene.call('ADD', first, config(scene, [])), { ips: [{ address: '10.1.2.2/24' }, {}] })
  scene.call('CHECK', first, config(scene, []))
  t.equal(ruleset(scene), '', 'no ports, no rules')
  for (const ips of [[{ address: '10.1.2.2/24', interface: -1 }], [{ address: '10.1.2.2/24' }]]) {
    const bare = { ...containerd['prevResult'] as Json, ips }
    scene.call('ADD', first, config(scene, [web], { prevResult: bare }))
    t.same(elements(scene, 'published4_any'), ['tcp 8080: 10.1.2.2 80'])
    scene.call('DEL', undefined, config(scene, []))
  }
  const several = {
    interfaces: [
      { name: 'no name of a link' }, { name: 'eth1', sandbox: first.path }, { name: 'eth0', sandbox: first.path },
    ],
    ips: [0, 1, 2, 2].map((index, i) => ({ address: `10.1.2.${10 + i}/24`, interface: index })),
  }
  scene.call('ADD', first, config(scene, [web], { prevResult: several }))
  t.same(elements(scene, 'published4_any'), ['tcp 8080: 10.1.2.12 80'], 'only addresses of the interface')
  t.same(elements(scene, 'published6_any'), [])
  scene.call('DEL', first, config(scene, [web]))
  t.equal(ruleset(scene), '')
})

test('what makes no sense', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const entries: [Json, RegExp][] = [
    [{ hostPort: 0, containerPort: 80 }, /hostPort 0 must be >= 1/],
    [{ hostPort: -1, containerPort: 80 }, /hostPort -1/],
    [{ hostPort: 70000, containerPort: 80 }, /hostPort 70000 must be <= 65535/],
    [{ hostPort: 80, containerPort: 0 }, /containerPort 0/],
    [{ hostPort: 80 }, /containerPort is missing/],
    [{ ...web, protocol: 'icmp' }, /protocol "icmp" has no ports/],
    [{ ...web, hostIP: 'localhost' }, /hostIP "localhost" is no IP address/],
    [{ ...web, hostPortEnd: 8079 }, /hostPortEnd 8079 is below hostPort 8080/],
    [{ hostPort: 1000, hostPortEnd: 2000, containerPort: 65000 }, /needs 1001 ports from containerPort 65000/],
    [{ ...web, containerPort: 81 }, /hostPort 8080\/tcp is to lead to containerPort 80 and 81/],
    [{ ...web, containerPort: 81, hostIP: '192.0.2.1' }, /is to lead to containerPort 80 and 81/],
  ]
  for (const [entry, message] of entries)
    t.throws(() => scene.call('ADD', scene.first, config(scene, [web, entry])), { code: 7, message })
  const keys: [Json, RegExp][] = [
    [{ prevResult: undefined }, /prevResult is missing/],
    [{ markMasqBit: 32 }, /markMasqBit 32/],
    [{ markMasqBit: 1, externalSetMarkChain: 'X' }, /externalSetMarkChain X and markMasqBit 1 exclude each other/],
    [{ backend: 'nftables', externalSetMarkChain: 'X' }, /externalSetMarkChain X needs backend iptables/],
    [{ backend: 'nftables', conditionsV4: ['-s', '10.0.0.0/8'] }, /conditionsV4 .* not written for backend nftables/],
    [{ backend: 'iptables', conditionsV6: ['iifname eth0'] }, /conditionsV6 .* not written for backend iptables/],
    [{ conditionsV4: ['tcp flags syn'] }, /conditionsV4: "tcp flags" is not understood/],
    [{ conditionsV4: ['ip saddr'] }, /conditionsV4: "ip saddr" lacks its value/],
    [{ conditionsV4: ['ip6 saddr fd00::/8'] }, /says nothing about ipv4/],
    [{ hostBinding: 'everywhere' }, /hostBinding "everywhere" is no IP address/],
    [{ backend: 'ipvs' }, /backend "ipvs"/],
    [{ conditionsV4: Array(2000).fill('ip saddr 10.0.0.0/8') }, /conditionsV4: 2000 conditions are too many/],
    ...['-j', 'two words', '!', 'c'.repeat(29)].map((name): [Json, RegExp] =>
      [{ externalSetMarkChain: name }, /externalSetMarkChain ".*" has a form that is not allowed/]),
  ]
  for (const [key, message] of keys)
    t.throws(() => scene.call('ADD', scene.first, config(scene, [web], key)), { code: 7, message })
  t.equal(ruleset(scene), '')
  scene.call('ADD', scene.first, config(scene, [web], { prevResult: { ips: [] } }))
  t.equal(ruleset(scene), '', 'ports of an interface without addresses are passed over')
  scene.call('DEL', scene.first, config(scene, [{ hostPort: 70000, containerPort: 80 }]))
  scene.call('STATUS', undefined, scene.config())
})

test('a port is taken whichever backend has published it', { skip: skip || lacks('iptables-restore') }, async t => {
  const scene = new Bridged(t, portmap)
  const { first, sibling } = scene
  const backends = ['nftables', 'iptables']
  const rules = (): string => ruleset(scene).replaceAll(/packets \d+ bytes \d+/g, '')
  for (const one of backends) for (const another of backends) {
    const own = config(scene, [web, { ...web, hostPort: 9000, hostIP: '192.0.2.1' }], { backend: one })
    scene.call('ADD', first, own)
    const before = rules()
    for (const mapping of [web, { ...web, hostIP: '192.0.2.1' }, { ...web, hostPort: 9000 }]) {
      const message = /hostPort (8080|9000)\/tcp.* published by container c1 \(network net/
      t.throws(() => scene.call('ADD', sibling, neighbourly(scene, [mapping], { backend: another }), other),
        { code: 100, message }, `${one}, ${another}`)
      t.equal(rules(), before, 'nothing has changed')
    }
    scene.call('ADD', sibling, neighbourly(scene, [{ ...web, hostPort: 8079 }], { backend: another }), other)
    scene.call('CHECK', first, own)
    for (const [pod, id] of [[first, 'c1'], [sibling, 'c2']] as const)
      scene.call('DEL', pod, config(scene, []), { containerId: id })
  }
})

test('a port that somebody has is refused', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { first, sibling } = scene
  const add = (mapping: Json): unknown => scene.call('ADD', sibling, neighbourly(scene, [mapping]), other)
  scene.call('ADD', first, config(scene, [web, { ...web, hostPort: 9000, hostIP: '192.0.2.1' }]))
  const before = ruleset(scene)
  for (const mapping of [
    web, { ...web, hostIP: '192.0.2.1' }, { ...web, hostIP: '::1' }, { ...web, hostPort: 8070, hostPortEnd: 8090 },
    { ...web, hostPort: 9000 }, { ...web, hostPort: 9000, hostIP: '192.0.2.1' },
  ]) {
    t.throws(() => add(mapping), {
      code: 100, message: /hostPort (8080|9000)\/tcp.* published by container c1 \(network net, eth0\)/,
    }, JSON.stringify(mapping))
    t.equal(ruleset(scene), before, 'nothing has changed')
  }
  for (const mapping of [{ ...web, protocol: 'udp' }, { ...web, hostPort: 9000, hostIP: '192.0.2.11' }]) {
    add(mapping)
    scene.call('DEL', sibling, neighbourly(scene, [mapping]), other)
    t.equal(ruleset(scene), before, 'what differs in protocol or address is no conflict')
  }
  add({ ...web, hostPort: 8079 })
  const both = ruleset(scene)
  t.throws(() => add(web), { code: 100 })
  t.equal(ruleset(scene), both, 'what the refused one has had is still there')
  scene.call('DEL', sibling, neighbourly(scene, []), other)
  scene.call('DEL', first, config(scene, [web]))
  t.equal(ruleset(scene), '', 'DEL with another list of ports takes all')

  const many = { hostPort: 20000, hostPortEnd: 20999, containerPort: 80, protocol: 'udp' }
  scene.call('ADD', first, config(scene, [many]))
  const all = ruleset(scene)
  t.throws(() => add(many), { code: 100, message: /hostPort 20000\/udp is published by container c1/ })
  t.throws(() => add({ ...many, hostPort: 19999, containerPort: 79 }), { code: 100 })
  t.equal(ruleset(scene), all, 'however many are taken')
  scene.call('ADD', first, config(scene, [many]))
  t.equal(ruleset(scene), all, 'ADD again replaces them')
  scene.call('DEL', first, config(scene, [many]))
  t.equal(ruleset(scene), '')

  const me = `process ${process.pid} \\(node`
  const server = createServer().listen(8080, '192.0.2.1')
  const only6 = createServer().listen({ port: 8081, host: '::', ipv6Only: true })
  const dual = createServer().listen(8083, '::')
  const datagrams = createSocket('udp4').bind(8082, '127.0.0.1')
  t.teardown(() => { for (const one of [server, only6, dual]) one.close(); datagrams.close() })
  await Promise.all([server, only6, dual, datagrams].map(one => once(one, 'listening')))
  for (const [mapping, address] of [
    [web, '192\\.0\\.2\\.1'], [{ ...web, hostIP: '192.0.2.1' }, '192\\.0\\.2\\.1'], [{ ...web, hostPort: 8081 }, '::'],
    [{ ...web, hostPort: 8083, hostIP: '0.0.0.0' }, '::'],
    [{ ...web, hostPort: 8082, protocol: 'udp' }, '127\\.0\\.0\\.1'],
  ] as const)
    t.throws(() => add(mapping), { code: 100, message: new RegExp(`hostPort .* is bound to ${address} by ${me}`) })
  t.equal(ruleset(scene), '')
  for (const mapping of [
    { ...web, hostIP: '192.0.2.11' }, { ...web, hostIP: '::' }, { ...web, hostPort: 8081, hostIP: '0.0.0.0' },
    { ...web, hostPort: 8082 }, { ...web, protocol: 'udp' },
  ]) {
    add(mapping)
    scene.call('DEL', sibling, neighbourly(scene, [mapping]), other)
  }
  // Podman's monitor keeps the ports of its container busy, and is called with the container's id.
  const listen = 'require("net").createServer().listen(8090, () => console.log("ready"))'
  const monitor = spawn(process.execPath, ['-e', listen, '--', 'c1'], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(monitor.stdout, 'data')
  t.throws(() => add({ ...web, hostPort: 8090 }), /hostPort 8090\/tcp is bound to :: by process/)
  scene.call('ADD', first, config(scene, [{ ...web, hostPort: 8090 }]))
  monitor.kill()
  await once(monitor, 'exit')
  scene.call('DEL', first, config(scene, [{ ...web, hostPort: 8090 }]))
  t.equal(ruleset(scene), '')
})
