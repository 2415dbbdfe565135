// The guard of the host's loopback addresses: with either backend, after the ruleset has been flushed, and against
// sources that say 127.0.0.0/8.
import { rmSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import * as gatewayMode from '#net/gateway-mode.ts'
import { writeSysctl } from '#net/sysctl.ts'
import { addresses, Bridged } from '#tools/bridged.ts'
import { ask, serve } from '#tools/conversation.ts'
import { lacks, output } from '#tools/kernel.ts'
import { portmap } from './portmap.ts'

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

const skip = lacks('nft') || lacks('ip')
const web = { hostPort: 8080, containerPort: 80 }

const config = (scene: Bridged, more: Json = {}): Json => scene.config({
  prevResult: scene.resultFor(scene.first, addresses.pod), runtimeConfig: { portMappings: [web] }, ...more,
})
const neighbourly = (scene: Bridged): Json => config(scene, {
  prevResult: scene.resultFor(scene.sibling, addresses.sibling),
  runtimeConfig: { portMappings: [{ ...web, hostPort: 8081 }] },
})

const openness = ({ host }: Bridged): string =>
  output(host, 'sysctl', ['-n', 'net.ipv4.conf.br0.route_localnet']).trim()
const label = ({ host, bridge }: Bridged): void => host.link.set(bridge, { alias: 'fairlead:net/' })

test('after the ruleset has been flushed', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, sibling } = scene
  label(scene)
  const flush = (): unknown => output(host, 'nft', ['flush', 'ruleset'])
  scene.call('ADD', first, config(scene))
  t.equal(openness(scene), '1')
  flush()
  scene.call('DEL', undefined, config(scene))
  t.equal(openness(scene), '0', 'DEL closes what nothing guards')
  t.equal(output(host, 'ip', ['-6', 'route', 'show', 'table', 'local', '::1', 'dev', 'br0']), '')

  scene.call('ADD', first, config(scene))
  flush()
  scene.call('ADD', sibling, neighbourly(scene), { containerId: 'c2' })
  scene.call('DEL', first, config(scene))
  scene.call('CHECK', sibling, neighbourly(scene), { containerId: 'c2' })
  scene.call('DEL', sibling, neighbourly(scene), { containerId: 'c2' })
  t.equal(openness(scene), '0', 'what was open before is not how it was before all')

  host.link.set(scene.bridge, { alias: 'mine' })
  host.run(() => writeSysctl('ipv4/conf/br0/route_localnet', '1'))
  scene.call('DEL', undefined, config(scene))
  scene.call('ADD', first, config(scene))
  scene.call('DEL', first, config(scene))
  t.equal(openness(scene), '1', 'a link that is not ours is as its owner wants it')
})

test('with iptables', { skip: skip || lacks('iptables-restore') }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first } = scene
  const old = config(scene, { backend: 'iptables' })
  await serve(t, first, 80)
  for (const ports of [old, { ...old, runtimeConfig: undefined }]) {
    scene.call('ADD', first, old)
    scene.call('ADD', first, old)
    scene.call('CHECK', first, old)
    t.equal(openness(scene), '1')
    t.match(output(host, 'nft', ['list', 'chain', 'inet', 'fairlead_published', 'guard']), /daddr 127.*drop/)
    const answers = await ask(host, [{ protocol: 'tcp', address: '127.0.0.1', port: 8080 }])
    t.match(answers, [{ port: 80, seenAs: '10.1.2.1' }])
    output(host, 'nft', ['flush', 'chain', 'inet', 'fairlead_published', 'guard'])
    t.throws(() => scene.call('CHECK', first, old), /chain guard has lost rules/)
    scene.call('DEL', first, ports)
    t.equal(openness(scene), '0')
    t.notMatch(output(host, 'nft', ['list', 'ruleset']), /fairlead_published|CNI-DN-/)
  }
  for (const [keys, message] of [
    [{ conditionsV4: ['--bad', 'x'] }, /conditionsV4 \["--bad","x"\] .*iptables-restore: /],
    [{ conditionsV6: ['--bad'] }, /conditionsV6 \["--bad"\] .*ip6tables-restore: /],
    [{ externalSetMarkChain: 'ABSENT' }, /externalSetMarkChain ABSENT .*iptables-restore: /],
  ] as const) t.throws(() => scene.call('ADD', first, { ...old, ...keys }), { code: 7, message })
  t.notMatch(output(host, 'nft', ['list', 'ruleset']), /fairlead_published|CNI-DN-/)
  t.equal(openness(scene), '0')
})

test('a source that says loopback', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, sibling } = scene
  await serve(t, host, 9000)
  // Without a check of sources the kernel takes them for its own once route_localnet is 1.
  host.run(() => { for (const link of ['all', 'br0']) writeSysctl(`ipv4/conf/${link}/rp_filter`, '0') })
  sibling.addr.del({ index: sibling.link.get('lo').index, address: '127.0.0.1/8' })
  sibling.run(() => writeSysctl('ipv4/conf/eth0/route_localnet', '1'))
  sibling.addr.add({ index: sibling.link.get('eth0').index, address: '127.0.0.2/32' })
  output(sibling, 'ip', ['route', 'replace', '10.1.2.1', 'dev', 'eth0', 'src', '127.0.0.2'])
  host.run(() => writeSysctl('ipv4/conf/br0/arp_ignore', '0'))
  scene.call('ADD', scene.first, config(scene))
  output(host, 'nft', ['-f', '-'],
    'table inet probe { chain input { type filter hook input priority 0; ip saddr 127.0.0.2 iifname br0 counter; }; }')
  await ask(sibling, [{ protocol: 'udp', address: '10.1.2.1', port: 9000 }])
  const arrived = (): number =>
    Number(/packets (\d+)/.exec(output(host, 'nft', ['list', 'table', 'inet', 'probe']))?.[1])
  t.equal(arrived(), 0)
  output(host, 'nft', ['flush', 'chain', 'inet', 'fairlead_published', 'guard'])
  await ask(sibling, [{ protocol: 'udp', address: '10.1.2.1', port: 9000 }])
  t.ok(arrived() > 0, 'which is what the guard is for')
  output(host, 'nft', ['delete', 'table', 'inet', 'probe'])
})

test('ports of a loopback address are not opened', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first } = scene
  const access = { icc: true, trusted: ['up0'] }
  const result = scene.resultFor(first, addresses.pod)
  const prevResult = { ...result, interfaces: [...result['interfaces'] as Json[], { name: 'br0' }] }
  const portMappings = ['127.0.0.1', '127.9.9.9', '::1', '192.0.2.1'].map((hostIP, i) =>
    ({ ...web, hostIP, containerPort: 80 + i }))
  const own = config(scene, { prevResult, runtimeConfig: { portMappings } })
  for (const mode of ['routed', 'nat'] as const) {
    gatewayMode.add(host, 'br0', { ...access, modes: { ipv4: mode, ipv6: mode } })
    scene.call('ADD', first, own)
    scene.call('CHECK', first, own)
    const opened = output(host, 'nft', ['list', 'table', 'inet', 'fairlead'])
    t.match(opened, /10\.1\.2\.2 \. tcp \. 83 /, mode)
    t.notMatch(opened, /tcp \. 8[0-2] /, mode)
    scene.call('DEL', first, own)
  }
})
