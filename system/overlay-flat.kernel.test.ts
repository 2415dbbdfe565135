// One subnet for all hosts: addresses that a container asks for, wherever it runs, and blocks that grow.
import { test } from 'tap'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet } from '../tools/fleet.ts'
import { kernelLacks, lacks, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']
const asking = (ip: string): object => ({ runtimeConfig: { ips: [ip] } })

void test('a flat network', { skip }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 3)
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'flat', '--flat', '--subnet', '10.203.0.0/24', '--block-length', '29',
    '--subnet', 'fd00:203::/64', ...store)
  await Promise.all(fleet.hosts.map(host => host.start()))
  const [first, second, third] = fleet.hosts as [typeof fleet.hosts[0], typeof fleet.hosts[0], typeof fleet.hosts[0]]
  for (const host of fleet.hosts) await host.insist({ op: 'join', network: 'flat' })
  const pods = fleet.hosts.map(host => host.attach('flat'))
  const [a, b, c] = pods as [typeof pods[0], typeof pods[0], typeof pods[0]]
  const meet = (from: typeof a, to: typeof a): boolean => to.addresses.every(ip => reaches(from.ns, ip))
  t.ok(meet(a, b) && meet(b, c) && meet(c, a))

  await t.test('an address of another host\'s block', async t => {
    const [base] = second.run('flat')!.blocks as [string]
    const [ip = ''] = base.split('/')
    const wanted = ip.replace(/\d+$/, digits => `${Number(digits) + 5}`)
    const start = performance.now()
    const guest = first.attach('flat', asking(wanted))
    t.comment(`claimed in ${Math.round(performance.now() - start)} ms`)
    t.equal(guest.addresses[0], wanted)
    await eventually('known everywhere', () => pods.every(pod => pings(pod.ns, wanted)))
    t.ok(meet(guest, b) && meet(guest, c) && meet(guest, a))
    t.throws(() => third.attach('flat', asking(wanted)), { message: /h1-c2 on h1 \(101\)/ })
    t.throws(() => second.attach('flat', asking(wanted)), { message: /taken by h1\/h1-c2|excluded/ })
    t.throws(() => first.attach('flat', asking(b.addresses[0]!)),
      { message: /belongs to a container on the host of its block/ })
    // The second host fills its block, and grows, and never hands out the guest's address.
    const more = Array.from({ length: 8 }, () => second.attach('flat'))
    const given = [b, ...more].map(({ addresses }) => addresses[0])
    t.equal(new Set(given).size, given.length)
    t.notOk(given.includes(wanted))
    t.ok(second.run('flat')!.blocks.length > 2, second.run('flat')!.blocks.join(' '))
    t.ok(more.every(pod => reaches(a.ns, pod.addresses[0]!)))
    first.detach('flat', guest)
    await eventually('given back', () => second.run('flat')!.reserved.length === 0)
    t.notOk(pings(b.ns, wanted))
    const owner = second.attach('flat', asking(wanted))
    t.ok(reaches(a.ns, owner.addresses[0]!), 'now with a container of its own host')
    for (const pod of [...more, owner]) t.equal(second.detach('flat', pod).status, 0)
  })

  await t.test('what cannot be had', async t => {
    t.throws(() => first.attach('flat', asking('10.204.0.1')),
      { message: /runtimeConfig\.ips 10\.204\.0\.1 is not in/ })
    t.throws(() => first.attach('flat', asking('10.203.0.1')), { message: /is the gateway/ })
    t.throws(() => first.attach('flat', { vni: 5 }), { message: /vni 5: network flat has vni/ })
    t.throws(() => first.attach('flat', { mtu: 1451 }), { message: /mtu 1451: packets of 1450 bytes fit/ })
    t.throws(() => first.attach('flat', { ipam: { type: 'host-local' } }),
      { message: /hands out its addresses itself/ })
    fairlead('overlay', 'create', 'under', '--subnet', '192.0.2.0/24', '--block-length', '28', ...store)
    t.throws(() => first.attach('under'),
      { message: /192\.0\.2\.0\/24, which this host's own address 192\.0\.2\.1 is of/ })
    t.match(first.call('STATUS', 'under', '', undefined),
      { status: 1, result: { code: 50, msg: /own address 192\.0\.2\.1/ } })
    t.match(fairlead('overlay', 'list', ...store), /\nunder .* 0 +0 of 16\n/)
    fairlead('overlay', 'rm', 'under', ...store)
    t.throws(() => first.attach('other'), { message: /there is no network other/ })
  })
})
