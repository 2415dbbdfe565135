// What is left of published ports, and what becomes of them: DEL, CHECK, GC, conditions, several networks, and UDP
// clients that go on sending.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test, type Test } from 'tap'
import type { Json } from '#cni/json.ts'
import { addresses, Bridged } from '#tools/bridged.ts'
import { ask, serve } from '#tools/conversation.ts'
import { lacks, output } from '#tools/kernel.ts'
import { portmap } from './portmap.ts'

const skip = lacks('nft') || lacks('ip')

const ruleset = ({ host }: Bridged): string => output(host, 'nft', ['list', 'ruleset'])

const config = (scene: Bridged, portMappings: Json[], more: Json = {}): Json => scene.config({
  prevResult: scene.resultFor(scene.first, addresses.pod), runtimeConfig: { portMappings }, ...more,
})
const neighbourly = (scene: Bridged, portMappings: Json[], more: Json = {}): Json =>
  config(scene, portMappings, { prevResult: scene.resultFor(scene.sibling, addresses.sibling), ...more })

const other = { containerId: 'c2' }
const web = { hostPort: 8080, containerPort: 80 }
const dns = { hostPort: 53, containerPort: 5353, protocol: 'udp', hostIP: '192.0.2.1' }

test('DEL finds everything', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, sibling } = scene
  const full = config(scene, [web, dns])
  const neighbour = neighbourly(scene, [{ ...web, hostPort: 8081 }, { ...dns, hostIP: '192.0.2.11' }])
  scene.call('ADD', sibling, neighbour, other)
  const before = ruleset(scene)
  const ways: Record<string, Json> = {
    'all that there is to know': full,
    'no previous result': config(scene, [web, dns], { prevResult: undefined }),
    'no ports': config(scene, []),
    'fewer ports': config(scene, [web]),
    'other ports': config(scene, [{ ...web, hostPort: 8081 }]),
    'ports that make no sense': config(scene, [{ ...web, hostPort: 0 }]),
    nothing: scene.config(),
  }
  for (const [name, way] of Object.entries(ways)) {
    for (const pod of [first, undefined]) {
      scene.call('ADD', first, full)
      scene.call('DEL', pod, way)
      t.equal(ruleset(scene), before, `${name}${pod ? '' : ', and no namespace'}`)
    }
  }
  scene.call('ADD', first, full)
  scene.call('ADD', first, config(scene, [{ ...web, hostPort: 8090 }]))
  t.notMatch(ruleset(scene), /tcp \. 8080/, 'ADD replaces what the attachment had')
  output(host, 'nft', ['delete', 'element', 'inet', 'fairlead_published', 'containers4', '{ 10.1.2.2 }'])
  scene.call('DEL', first, config(scene, [{ ...web, hostPort: 8090 }]))
  t.equal(ruleset(scene), before, 'whatever else is missing')
  scene.call('DEL', sibling, neighbour, other)
  t.equal(ruleset(scene), '')
  t.equal(output(host, 'ip', ['-6', 'route', 'show', 'table', 'local', '::1', 'dev', 'br0']), '')
})

test('an address that has passed on', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, sibling } = scene
  // The second container gets the first one's address, which nobody has deleted.
  scene.call('ADD', first, config(scene, [{ ...web, hostIP: '0.0.0.0' }]))
  const heir = config(scene, [{ ...web, hostPort: 8081 }])
  scene.call('ADD', sibling, heir, other)
  scene.call('ADD', sibling, { ...heir, masqAll: true }, other)
  t.notMatch(ruleset(scene), /hairpin_br0/, 'the link\'s other chain, where nobody is behind it')
  scene.call('ADD', sibling, heir, other)
  scene.call('CHECK', sibling, heir, other)
  scene.call('DEL', undefined, scene.config())
  scene.call('CHECK', sibling, heir, other)
  scene.call('DEL', sibling, heir, other)
  t.equal(ruleset(scene), '')
  t.equal(output(host, 'sysctl', ['-n', 'net.ipv4.conf.br0.route_localnet']), '0\n')
})

test('CHECK finds what is missing', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first } = scene
  const full = config(scene, [web, dns])
  const damages: [string, RegExp][] = [
    ['nft flush map inet fairlead_published published6_any', /tcp \. 8080 is not in map published6_any/],
    ['nft flush map inet fairlead_published published4', /udp \. 192\.0\.2\.1 \. 53 is not in map published4/],
    ['nft flush chain inet fairlead_published published', /chain published has lost rules/],
    ['nft flush chain inet fairlead_published output', /chain published .* nothing leads to it/],
    ['nft flush chain inet fairlead_published postrouting', /chain translated .* nothing leads to it/],
    ['nft flush chain inet fairlead_published guard', /chain guard has lost rules/],
    ['nft flush chain inet fairlead_published hairpin_br0', /chain hairpin_br0 has lost rules/],
    ['nft flush map inet fairlead_published containers6', /fd00:1::2 is not in map containers6/],
    ['nft flush map inet fairlead_published attachments', /map attachments does not know/],
    ['nft flush ruleset', /chain published has lost rules/],
    ['sysctl -qw net.ipv4.conf.br0.route_localnet=0', /br0 is closed to packets from 127\.0\.0\.1/],
    ['ip -6 route del local ::1 dev br0 table local', /br0 is closed to packets to ::1/],
  ]
  for (const [damage, message] of damages) {
    scene.call('ADD', first, full)
    scene.call('CHECK', first, full)
    output(host, 'sh', ['-c', damage])
    t.throws(() => scene.call('CHECK', first, full), { code: 102, message }, damage)
    scene.call('ADD', first, full)
    scene.call('CHECK', first, full)
    output(host, 'sh', ['-c', 'nft flush ruleset; sysctl -qw net.ipv4.conf.br0.route_localnet=0'])
  }
  scene.call('ADD', first, config(scene, [{ ...web, containerPort: 81 }]))
  t.throws(() => scene.call('CHECK', first, config(scene, [web])),
    /tcp \. 8080 of map published4_any leads to 10\.1\.2\.2 \. 81/)
  scene.call('DEL', first, full)
})

test('GC keeps to its network', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { first, sibling } = scene
  scene.call('ADD', first, config(scene, [web, dns]))
  const neighbour = neighbourly(scene, [{ ...web, hostPort: 8081 }, { ...dns, hostIP: '192.0.2.11' }])
  scene.call('ADD', sibling, neighbour, other)
  const foreign = neighbourly(scene, [{ ...web, hostPort: 8082 }], { name: 'net10' })
  scene.call('ADD', sibling, foreign, { containerId: 'c3' })
  const collect = (...valid: string[]): unknown => scene.call('GC', undefined, scene.config({
    'cni.dev/valid-attachments': valid.map(containerID => ({ containerID, ifname: 'eth0' })),
  }))
  collect('c1', 'c2')
  scene.call('CHECK', first, config(scene, [web, dns]))
  collect('c1')
  scene.call('CHECK', first, config(scene, [web, dns]))
  t.same(ruleset(scene).match(/published by|fairlead:net\/c2/g), null)
  collect()
  scene.call('CHECK', sibling, foreign, { containerId: 'c3' })
  t.same(new Set(ruleset(scene).match(/fairlead:[^\s"]+/g)), new Set(['fairlead:net10/c3/eth0']))
  scene.call('DEL', sibling, foreign, { containerId: 'c3' })
  t.equal(ruleset(scene), '')
})

test('one container in two networks', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, outside } = scene
  host.link.add({ name: 'br1', info: { kind: 'bridge' }, up: true })
  host.addr.add({ index: host.link.get('br1').index, address: '10.2.2.1/24' })
  output(host, 'ip', ['link', 'add', 'pod0b', 'master', 'br1', 'up', 'type', 'veth', 'peer', 'name', 'eth1'])
  host.link.set(host.link.get('eth1').index, { netnsFd: first.fd })
  first.link.set(first.link.get('eth1').index, { up: true })
  first.addr.add({ index: first.link.get('eth1').index, address: '10.2.2.2/24' })
  await serve(t, first, 80, 81)
  const second = { name: 'second', prevResult: scene.resultFor(first, ['10.2.2.2/24'], 'eth1') }
  const eth1 = { ifName: 'eth1' }
  const asked = async (port: number): Promise<number | undefined> =>
    (await ask(outside, [{ protocol: 'tcp', address: '192.0.2.1', port }]))[0]?.port

  // As podman does: the same ports for every network of a container. The later one takes over when the first goes.
  const [one, two] = [config(scene, [web]), config(scene, [web, { ...web, hostPort: 8081, containerPort: 81 }], second)]
  scene.call('ADD', first, one)
  scene.call('ADD', first, two, eth1)
  scene.call('CHECK', first, one)
  scene.call('CHECK', first, two, eth1)
  t.same([await asked(8080), await asked(8081)], [80, 81])
  scene.call('DEL', first, one)
  scene.call('CHECK', first, two, eth1)
  t.throws(() => scene.call('ADD', scene.sibling, neighbourly(scene, [web]), other),
    /published by container c1 \(network second, eth1\)/)
  t.same([await asked(8080), await asked(8081)], [80, 81], 'by the other network')
  scene.call('ADD', first, one)
  scene.call('DEL', first, two, eth1)
  scene.call('CHECK', first, one)
  t.same([await asked(8080), await asked(8081)], [80, undefined])
  scene.call('DEL', first, one)
  t.equal(ruleset(scene), '')
})

test('conditions', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { first, sibling, outside } = scene
  await serve(t, first, 80)
  await serve(t, sibling, 81)
  const asked = async (): Promise<(number | undefined)[]> => (await ask(outside, [
    { protocol: 'tcp', address: '192.0.2.1', port: 8080 }, { protocol: 'tcp', address: '2001:db8::1', port: 8080 },
  ])).map(answer => answer?.port)
  for (const [keys, answers] of [
    [{ conditionsV4: ['ip saddr 192.0.2.0/24'], conditionsV6: ['ip6', 'saddr', '!=', '2001:db8::2'] }, [80, undefined]],
    [{ conditionsV4: ['ip saddr != 192.0.2.0/24'] }, [undefined, 80]],
    [{ conditionsV4: Array(20).fill('ip saddr != 10.0.0.0/9') }, [80, 80]],
    [{ conditionsV4: ['meta iifname "up0"', 'ip daddr 192.0.2.1'], conditionsV6: ['iifname != up0'] }, [80, undefined]],
  ] as const) {
    const limited = config(scene, [web], keys)
    scene.call('ADD', first, limited)
    scene.call('CHECK', first, limited)
    t.same(await asked(), answers, JSON.stringify(keys))
    scene.call('DEL', first, limited)
    t.equal(ruleset(scene), '')
  }
  // What is published under a condition goes before what is published to all.
  const wishes = { conditionsV4: ['ip saddr 192.0.2.0/24'], conditionsV6: ['ip6 saddr fd00::/8'] }
  const limited = config(scene, [web], wishes)
  const open = neighbourly(scene, [{ ...web, containerPort: 81 }])
  scene.call('ADD', sibling, open, other)
  scene.call('ADD', first, limited)
  t.same(await asked(), [80, 81])
  output(scene.host, 'nft', ['flush', 'chain', 'inet', 'fairlead_published', 'conditional'])
  t.throws(() => scene.call('CHECK', first, limited), /chain conditional_veth\w+ has lost rules/)
  scene.call('DEL', sibling, open, other)
  scene.call('GC', undefined, scene.config({ 'cni.dev/valid-attachments': [] }))
  t.equal(ruleset(scene), '')
})

/** A client that sends from one port all the time, and keeps the last answer. */
const client = (t: Test, scene: Bridged): { last(): string } => {
  const code = `const s = require("dgram").createSocket("udp4").bind(4000)
    s.on("message", m => console.log(String(m)))
    setInterval(() => s.send("?", 5000, "192.0.2.1", () => {}), 20)`
  const child = scene.outside.run(() => spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] }))
  t.teardown(() => { child.kill(); return once(child, 'exit') })
  let seen = ''
  child.stdout.on('data', data => { seen = `${data}`.trim().split('\n').at(-1)! })
  return { last() { const answer = seen; seen = ''; return answer } }
}

const settle = (): Promise<void> => new Promise(done => setTimeout(done, 300))

test('UDP clients that go on sending', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { first, sibling } = scene
  await serve(t, first, 80)
  await serve(t, sibling, 81)
  const [one, two] = [
    config(scene, [{ hostPort: 5000, containerPort: 80, protocol: 'udp' }]),
    neighbourly(scene, [{ hostPort: 5000, containerPort: 81, protocol: 'udp' }]),
  ]
  // As long as nobody translates, the kernel tracks nothing, and there is nothing to forget.
  const lasting = neighbourly(scene, [{ hostPort: 5999, containerPort: 81, protocol: 'udp' }])
  scene.call('ADD', sibling, lasting, { containerId: 'c3' })
  const { last } = client(t, scene)
  await settle()
  t.equal(last(), '', 'nobody is there yet')
  scene.call('ADD', first, one)
  await settle()
  t.equal(last(), '80 192.0.2.2')
  scene.call('DEL', first, one)
  await settle()
  last()
  await settle()
  t.equal(last(), '', 'DEL ends it')
  scene.call('ADD', sibling, two, other)
  await settle()
  t.equal(last(), '81 192.0.2.2')
  scene.call('DEL', sibling, two, other)
})
