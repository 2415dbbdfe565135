// A host that is removed although it runs, and its addresses, which another host gets at once.
import { test } from 'tap'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet } from '../tools/fleet.ts'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']

void test('a host is removed and its addresses used elsewhere at once', { skip }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 3)
  await startEtcd(t, { host: '192.0.2.254' })
  // Two blocks for three hosts.
  fairlead('overlay', 'create', 'red', '--subnet', '10.202.0.0/23', '--vni', '77', ...store)
  await Promise.all(fleet.hosts.map(host => host.start()))
  const [first, second, third] = fleet.hosts as [typeof fleet.hosts[0], typeof fleet.hosts[0], typeof fleet.hosts[0]]
  await first.insist({ op: 'join', network: 'red' })
  await second.insist({ op: 'join', network: 'red' })
  const [a, b] = [first.attach('red'), second.attach('red')]
  const [address] = b.addresses as [string]
  t.ok(reaches(a.ns, address))
  t.match(third.call('STATUS', 'red', '', undefined).status, 0, 'it could try')
  t.throws(() => third.attach('red'),
    { message: /every block of 10\.202\.0\.0\/23 of network red has an owner \(101\)/ })

  t.throws(() => fairlead('host', 'rm', 'h2', ...store), { message: /host h2 is alive: stop its agent/ })
  fairlead('host', 'rm', 'h2', '--force', ...store)
  const c = third.attach('red')
  t.equal(c.addresses[0], address, 'the same address, at once')
  const mac = (ns: typeof a.ns): string => output(ns, 'ip', ['route', 'get', address]).trim()
  t.ok(reaches(a.ns, address), mac(first.ns))
  t.ok(reaches(c.ns, a.addresses[0]!))
  await eventually('the removed host drains', () => second.run('red')?.drained !== undefined)
  t.notOk(pings(b.ns, a.addresses[0]!), 'nobody listens to the removed host')
  t.match(second.call('STATUS', 'red', '', undefined), { status: 1, result: { code: 50 } })
  t.throws(() => second.attach('red'), { message: /hands out no addresses: it was removed/ })
  t.equal(second.call('CHECK', 'red', b.id, b.ns, { prevResult: undefined }).status, 1)
  t.equal(second.detach('red', b).status, 0, 'what it has can be deleted')
  const { device } = first.run('red')!
  const entries = (host: typeof first) => ({
    routes: output(host.ns, 'ip', ['route', 'show', 'table', 'all', 'dev', device, 'proto', '203']).trim().split('\n'),
    neighbours: output(host.ns, 'ip', ['neigh', 'show', 'dev', device, 'nud', 'permanent']).trim().split('\n'),
    forwarding: output(host.ns, 'bridge', ['fdb', 'show', 'dev', device]).trim().split('\n'),
  })
  for (const [host, other] of [[first, third], [third, first]] as const) {
    const all = entries(host)
    const at = `192.0.2.${other.name.slice(1)}`
    t.match(all, { routes: [new RegExp(` via ${at} `)], neighbours: [at], forwarding: [new RegExp(` dst ${at} `)] })
    t.same(Object.values(all).map(({ length }) => length), [1, 1, 1], `${host.name} has entries of ${other.name} only`)
    t.comment(`${host.name}: ${Object.entries(all).map(([kind, { length }]) => `${length} ${kind}`).join(', ')}`)
    t.notMatch(output(host.ns, 'nft', ['list', 'ruleset']), '192.0.2.2')
  }
  t.same(Object.values(entries(second)), [[''], [''], ['']], 'nor has the removed one of anybody')
  const used = [first, third].flatMap(({ pods }) => pods.flatMap(({ addresses }) => addresses))
  t.equal(new Set(used).size, used.length)
  t.comment(`${used.length} addresses of hosts that are in the cluster, 0 duplicates`)

  await second.stop('SIGTERM')
  await second.start()
  await eventually('it is back', async () => !('obstacle' in await second.ask({ op: 'status' })))
  t.same(second.run('red')?.blocks, [], 'without the block that another host has')
  t.throws(() => second.attach('red'), { message: /has an owner/ })
  t.ok(reaches(a.ns, address))
  third.detach('red', c)
  first.detach('red', a)
  fairlead('overlay', 'rm', 'red', ...store)
  t.same(JSON.parse(fairlead('overlay', 'list', '--json', ...store)), [], 'hosts give back what nobody uses')
  for (const host of fleet.hosts) {
    await eventually('nothing of the network is left', () => host.run('red') === undefined)
    t.equal(output(host.ns, 'ip', ['link', 'show', 'type', 'vxlan']), '')
    t.equal(output(host.ns, 'ip', ['route', 'show', 'proto', '203']), '')
  }
})
