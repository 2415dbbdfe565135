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
  for (const host of [first, third]) {
    const stale = output(host.ns, 'ip', ['route', 'show', 'proto', '203']) + output(host.ns, 'bridge', ['fdb', 'show'])
    t.notMatch(stale, '192.0.2.2', 'no entry of the removed host is left')
    t.notMatch(output(host.ns, 'nft', ['list', 'ruleset']), '192.0.2.2')
  }

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
