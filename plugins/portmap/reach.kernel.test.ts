// Published ports as packets find them: from outside, from the host and its loopback addresses, from the container
// itself and its neighbours on the bridge.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { trySysctl, writeSysctl } from '#net/sysctl.ts'
import { addresses, Bridged } from '#tools/bridged.ts'
import { ask, serve } from '#tools/conversation.ts'
import { lacks, output } from '#tools/kernel.ts'
import { portmap } from './portmap.ts'

const skip = lacks('nft') || lacks('ip')

const protocols = ['tcp', 'udp'] as const
const [gateway4, gateway6] = ['10.1.2.1', 'fd00:1::1']
const loopbacks = ['127.0.0.1', '127.9.9.9', '::1']
const bridgeAddresses = [gateway4, gateway6]
const uplinkAddresses = ['192.0.2.1', '2001:db8::1']

const ports = (hostPort: number, containerPort: number, more: Json = {}): Json[] =>
  protocols.map(protocol => ({ hostPort, containerPort, protocol, ...more }))

const published = (scene: Bridged, portMappings: Json[], more: Json = {}): Json => scene.config({
  prevResult: scene.resultFor(scene.first, addresses.pod), runtimeConfig: { portMappings }, ...more,
})

/** What each of the addresses answers on a port, `80 192.0.2.2` by port and what was seen of us; once if both agree. */
const answers = async (from: Namespace, where: readonly string[], port = 8080): Promise<Record<string, string>> => {
  const questions = where.flatMap(address => protocols.map(protocol => ({ protocol, address, port })))
  const found = (await ask(from, questions)).map(answer => answer ? `${answer.port} ${answer.seenAs}` : 'none')
  return Object.fromEntries(where.map((address, i) => [address, [...new Set(found.slice(2 * i, 2 * i + 2))].join()]))
}

const same = (where: readonly string[], answer: (address: string) => string): Record<string, string> =>
  Object.fromEntries(where.map(address => [address, answer(address)]))
const ofFamily = (address: string, ipv4: string, ipv6: string): string => address.includes(':') ? ipv6 : ipv4

const setBridgeNetfilter = (host: Namespace, value: string): void =>
  host.run(() => { for (const name of ['iptables', 'ip6tables']) trySysctl(`bridge/bridge-nf-call-${name}`, value) })

test('who reaches a published port', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, sibling, outside } = scene
  await serve(t, first, 80)
  await serve(t, outside, 8080)
  const config = published(scene, ports(8080, 80))
  scene.call('ADD', first, config)
  scene.call('CHECK', first, config)
  const seen = (ipv4: string, ipv6: string) => (address: string): string =>
    ofFamily(address, `80 ${ipv4}`, `80 ${ipv6}`)

  t.same(await answers(outside, uplinkAddresses), same(uplinkAddresses, seen('192.0.2.2', '2001:db8::2')), 'outside')
  const local = [...uplinkAddresses, ...bridgeAddresses]
  t.same(await answers(host, local), same(local, address => `80 ${address}`), 'the host, by its addresses')
  t.same(await answers(host, loopbacks), same(loopbacks, seen(gateway4, gateway6)), 'the host, by its loopback ones')
  for (const [name, from] of [['a neighbour on the bridge', sibling], ['the container itself', first]] as const)
    t.same(await answers(from, local), same(local, seen(gateway4, gateway6)), name)

  // The same, where bridged packets pass the hooks of routed ones, as on hosts of Kubernetes.
  setBridgeNetfilter(host, '1')
  host.link.setPort(host.link.get('pod0').index, { hairpin: 1, isolated: 0 })
  for (const [name, from] of [['a neighbour', sibling], ['the container itself', first]] as const)
    t.same(await answers(from, local), same(local, seen(gateway4, gateway6)), `${name}, with br_netfilter`)
  const reached = [...local, '127.0.0.1']
  t.same(await answers(host, reached), same(reached, address => `80 ${address === '127.0.0.1' ? gateway4 : address}`),
    'the host, with br_netfilter; ::1 is not among them')
  setBridgeNetfilter(host, '0')

  const elsewhere = ['192.0.2.2', '2001:db8::2']
  t.same(await answers(first, elsewhere),
    same(elsewhere, address => ofFamily(address, '8080 10.1.2.2', '8080 fd00:1::2')),
    'the same port of another machine is not ours (CVE-2025-67499)')
  scene.call('DEL', first, config)
  t.same(await answers(outside, uplinkAddresses), same(uplinkAddresses, () => 'none'), 'deleted')
  t.equal(output(host, 'nft', ['list', 'ruleset']), '')
})

test('without snat, and with all of it', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, outside } = scene
  await serve(t, first, 80)
  const bare = published(scene, ports(8080, 80), { snat: false })
  scene.call('ADD', first, bare)
  scene.call('CHECK', first, bare)
  t.same(await answers(outside, uplinkAddresses),
    same(uplinkAddresses, address => ofFamily(address, '80 192.0.2.2', '80 2001:db8::2')))
  t.same(await answers(host, loopbacks), same(loopbacks, () => 'none'))
  t.equal(output(host, 'sysctl', ['-n', 'net.ipv4.conf.br0.route_localnet']), '0\n')
  scene.call('DEL', first, bare)

  const all = published(scene, ports(8080, 80), { masqAll: true })
  scene.call('ADD', first, all)
  scene.call('CHECK', first, all)
  t.same(await answers(outside, uplinkAddresses),
    same(uplinkAddresses, address => ofFamily(address, `80 ${gateway4}`, `80 ${gateway6}`)))
  scene.call('DEL', first, all)
  t.equal(output(host, 'nft', ['list', 'ruleset']), '')
})

test('ports of one address, and ranges', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, outside } = scene
  await serve(t, first, 80, 81, 82)
  const where = ['192.0.2.1', '192.0.2.11', '2001:db8::1', '2001:db8::11']
  const config = published(scene, [
    ...ports(8080, 80, { hostIP: '192.0.2.11' }), ...ports(8080, 81, { hostIP: '2001:db8:0::1' }),
    ...ports(9000, 80, { hostPortEnd: 9002 }), ...ports(7000, 80, { hostIP: '0.0.0.0' }),
    ...ports(7001, 81, { hostIP: '::' }), ...ports(6000, 82, { hostIP: '127.0.0.1' }),
  ])
  scene.call('ADD', first, config)
  scene.call('CHECK', first, config)
  t.same(await answers(outside, where), {
    '192.0.2.1': 'none', '192.0.2.11': '80 192.0.2.2', '2001:db8::1': '81 2001:db8::2', '2001:db8::11': 'none',
  })
  for (const [port, own] of [[9000, 80], [9001, 81], [9002, 82]] as const)
    t.same(await answers(outside, where, port),
      same(where, address => ofFamily(address, `${own} 192.0.2.2`, `${own} 2001:db8::2`)), `${port}`)
  t.same(await answers(outside, where, 9003), same(where, () => 'none'))
  t.same(await answers(outside, where, 7000), same(where, address => ofFamily(address, '80 192.0.2.2', 'none')))
  t.same(await answers(outside, where, 7001), same(where, address => ofFamily(address, 'none', '81 2001:db8::2')))
  t.same(await answers(host, loopbacks, 6000), { '127.0.0.1': '82 10.1.2.1', '127.9.9.9': 'none', '::1': 'none' })
  t.same(await answers(outside, where, 6000), same(where, () => 'none'), 'a loopback address is the host\'s own')
  scene.call('DEL', undefined, scene.config())
  t.equal(output(host, 'nft', ['list', 'ruleset']), '')

  const own = [...ports(8080, 80), ...ports(8081, 81, { hostIP: '192.0.2.1' })]
  const bound = published(scene, own, { hostBinding: '192.0.2.11' })
  scene.call('ADD', first, bound)
  t.same(await answers(outside, where), { ...same(where, () => 'none'), '192.0.2.11': '80 192.0.2.2' }, 'hostBinding')
  t.same(await answers(outside, where, 8081), { ...same(where, () => 'none'), '192.0.2.1': '81 192.0.2.2' })
  scene.call('DEL', first, bound)
})

test('the host\'s own loopback services stay its own', { skip }, async t => {
  const scene = new Bridged(t, portmap)
  const { host, first, outside } = scene
  await serve(t, host, 9000)
  // Whoever sits on the link may send to 127.0.0.1 by the host's hardware address: CVE-2020-8558.
  for (const attacker of [first, outside]) {
    attacker.addr.del({ index: attacker.link.get('lo').index, address: '127.0.0.1/8' })
    const [link, via] = attacker === first ? ['eth0', gateway4] : ['out0', '192.0.2.1']
    attacker.run(() => writeSysctl(`ipv4/conf/${link}/route_localnet`, '1'))
    attacker.route.add({ dst: '127.0.0.1/32', via, dev: attacker.link.get(link).index })
  }
  scene.call('ADD', first, published(scene, ports(8080, 80)))
  t.equal(output(host, 'sysctl', ['-n', 'net.ipv4.conf.br0.route_localnet']), '1\n')
  for (const attacker of [first, outside])
    t.same(await answers(attacker, ['127.0.0.1'], 9000), { '127.0.0.1': 'none' })
  output(host, 'nft', ['flush', 'chain', 'inet', 'fairlead_published', 'guard'])
  t.same(await answers(first, ['127.0.0.1'], 9000), { '127.0.0.1': '9000 10.1.2.2' }, 'which is what the guard is for')
  t.throws(() => scene.call('CHECK', first, published(scene, ports(8080, 80))), /chain guard has lost rules/)
  scene.call('DEL', first, published(scene, ports(8080, 80)))
  t.equal(output(host, 'sysctl', ['-n', 'net.ipv4.conf.br0.route_localnet']), '0\n')
})
