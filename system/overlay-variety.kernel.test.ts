// Overlays of other kinds: over IPv6, internal ones, out of the overlay, and hosts whose address changes.
import { test } from 'tap'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet } from '../tools/fleet.ts'
import { httpAnswers } from '../tools/http-answers.ts'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { fits } from '../tools/lab.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']

void test('over IPv6', { skip }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 2, { underlay: 'ipv6' })
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'six', '--subnet', '10.200.0.0/16', '--subnet', 'fd00:200::/48', ...store)
  for (const host of fleet.hosts) await host.start()
  for (const host of fleet.hosts) await host.insist({ op: 'join', network: 'six' })
  const [a, b] = fleet.hosts.map(host => host.attach('six'))
  for (const address of b!.addresses) {
    t.ok(reaches(a!.ns, address), address)
    t.ok(fits(a!.ns, address, 1430))
    t.notOk(fits(a!.ns, address, 1431))
    t.ok(await httpAnswers(a!.ns, b!.ns, address))
  }
})

void test('internal, and out of the overlay', { skip }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 2)
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'closed', '--internal', '--subnet', '10.200.0.0/16', ...store)
  fairlead('overlay', 'create', 'open', '--subnet', '10.201.0.0/16', ...store)
  for (const host of fleet.hosts) await host.start()
  for (const host of fleet.hosts)
    for (const network of ['closed', 'open']) await host.insist({ op: 'join', network })
  const [a, b] = fleet.hosts.map(host => host.attach('closed'))
  const [c, d] = fleet.hosts.map(host => host.attach('open', { ipMasq: true }))
  const [first] = fleet.hosts
  t.ok(reaches(a!.ns, b!.addresses[0]!))
  t.ok(reaches(c!.ns, d!.addresses[0]!))
  t.ok(reaches(c!.ns, '192.0.2.254'), 'masqueraded')
  const seen = output(first!.ns, 'conntrack', ['-L', '-p', 'icmp'])
  t.match(seen, /dst=192\.0\.2\.254/)
  t.notMatch(output(a!.ns, 'ip', ['route']), 'default')
  const [gateway = ''] = output(a!.ns, 'ip', ['route', 'show', 'scope', 'link']).split(' ')
  output(a!.ns, 'ip', ['route', 'add', 'default', 'via', gateway])
  t.notOk(pings(a!.ns, '192.0.2.254'), 'even with a route')
  t.notOk(pings(a!.ns, d!.addresses[0]!), 'nor to another overlay')
  t.notOk(pings(c!.ns, a!.addresses[0]!), 'nor from one')
  t.equal(first!.call('ADD', 'closed', 'x', undefined, { ipMasq: true }).status, 1)
  t.match(output(c!.ns, 'ip', ['route', 'show', 'default']), /^default via 10\.201\./)
})

void test('another address of a host', { skip }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 2)
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'blue', '--subnet', '10.200.0.0/16', ...store)
  for (const host of fleet.hosts) await host.start()
  for (const host of fleet.hosts) await host.insist({ op: 'join', network: 'blue' })
  const [a, b] = fleet.hosts.map(host => host.attach('blue'))
  t.ok(reaches(a!.ns, b!.addresses[0]!))
  const [first] = fleet.hosts
  output(first!.ns, 'ip', ['address', 'add', '192.0.2.101/24', 'dev', 'eth0'])
  output(first!.ns, 'ip', ['address', 'del', '192.0.2.1/24', 'dev', 'eth0'])
  output(first!.ns, 'ip', ['address', 'replace', '192.0.2.101/24', 'dev', 'eth0'])
  const time = await eventually('reachable again', () =>
    pings(a!.ns, b!.addresses[0]!) && pings(b!.ns, a!.addresses[0]!))
  t.comment(`reachable again after ${Math.round(time)} ms`)
  const hosts = JSON.parse(fairlead('host', 'list', '--json', ...store)) as readonly { address: string }[]
  t.same(hosts.map(({ address }) => address), ['192.0.2.101', '192.0.2.2'])
})
