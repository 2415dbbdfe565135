// Addresses of a shared segment on many hosts, each with an agent and a real etcd: macvlan with the cluster plugin.
import { comment, test } from 'tap'
import { existsSync, rmSync } from 'node:fs'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet, type FleetHost, type Pod } from '../tools/fleet.ts'
import { kernelLacks, lacks, ownNamespace, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('macvlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']
const COUNT = 20
const EACH = 3

const segment = [{ subnet: '192.168.50.0/24', gateway: '192.168.50.1' }]

/** The configuration of macvlan on a host. */
const lan = (host: FleetHost, ranges: readonly object[] = segment, more: object = {}): object => ({
  type: 'macvlan', master: 'eth0', ipam: { type: 'cluster', ...host.place, ranges, ...more },
})

const asking = (host: FleetHost, ip: string): object => ({ ...lan(host), runtimeConfig: { ips: [ip] } })

const holds = (host: FleetHost, network: string, ip: string): boolean =>
  existsSync(`${host.place.dataDir}/${network}/${ip}`)

const isMember = (host: FleetHost) =>
  eventually('a member', async () => !('obstacle' in await host.ask({ op: 'status' })), 60_000)

const blocksOf = (host: FleetHost): readonly string[] => host.run('lan')?.blocks ?? []

// A busy machine needs longer than the half minute of tap's that a test file has by itself.
comment('timeout=300000')

void test('a segment with twenty hosts', { skip, timeout: 300_000 }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), COUNT)
  const etcd = await startEtcd(t, { host: '192.0.2.254' })
  // Makes the cluster; two networks of one store have nothing to do with each other.
  fairlead('overlay', 'create', 'other', '--subnet', '10.200.0.0/16', ...store)
  for (const host of fleet.hosts) await host.start()
  for (const host of fleet.hosts) await isMember(host)
  const pods = new Map<string, Pod & { readonly host: FleetHost }>()
  const note = (host: FleetHost, pod: Pod): void => { pods.set(pod.addresses[0]!, { ...pod, host }) }

  await t.test('all allocate at once', async t => {
    const start = performance.now()
    const made = await Promise.all(fleet.hosts.flatMap(host => Array.from({ length: EACH }, async () => {
      const pod = await host.attachMeanwhile('lan', lan(host))
      note(host, pod)
      return pod.addresses[0]!
    })))
    t.equal(new Set(made).size, COUNT * EACH, made.toSorted().join(' '))
    t.notOk(made.some(ip => /\.(?:0|1|255)$/.test(ip)))
    const poor = fleet.hosts.filter(host => blocksOf(host).length === 0)
    t.comment(`${made.length} ADDs on ${COUNT} hosts in ${Math.round(performance.now() - start)} ms; ` +
      `${poor.length} hosts without a block have addresses of others`)
    t.equal(poor.length, COUNT - 16, 'a /24 has 16 blocks')
    const owned = fleet.hosts.flatMap(blocksOf)
    t.equal(new Set(owned).size, owned.length)
  })

  await t.test('containers of different hosts reach each other', async t => {
    const all = [...pods]
    for (const [i, [, from]] of all.entries()) {
      const [address, to] = [...all.slice(i), ...all].find(([, pod]) => pod.host !== from.host)!
      t.ok(reaches(from.ns, address), `${from.id} to ${to.id}`)
    }
  })

  const [first, second, third] = fleet.hosts.filter(host => blocksOf(host).length > 0) as
    [FleetHost, FleetHost, FleetHost]

  await t.test('an address of another host\'s block', async t => {
    const [base = ''] = blocksOf(second)[0]!.split('/')
    const nth = (n: number): string => base.replace(/\d+$/, digits => `${Number(digits) + n}`)
    const wanted = Array.from({ length: 12 }, (_, i) => nth(2 + i)).find(ip => !pods.has(ip))! // some have been lent
    const guest = first.attach('lan', asking(first, wanted))
    t.equal(guest.addresses[0], wanted)
    t.throws(() => third.attach('lan', asking(third, wanted)), { message: new RegExp(`belongs to ${guest.id} on h`) })
    t.throws(() => second.attach('lan', asking(second, wanted)), { message: /taken by|excluded/ })
    t.throws(() => first.attach('lan', asking(first, '192.168.50.1')), { message: /is the gateway \(7\)/ })
    t.throws(() => first.attach('lan', asking(first, '192.168.51.7')), { message: /is not in 192\.168\.50\.0\/24/ })
    // GC on the host of the block does not know of it, and leaves it alone.
    const valid = second.pods.map(({ id }) => ({ containerID: id, ifname: 'eth0' }))
    const collected = second.call('GC', 'lan', '', undefined, { ...lan(second), 'cni.dev/valid-attachments': valid })
    t.equal(collected.status, 0)
    t.ok(holds(second, 'lan', wanted))
    t.equal(first.detach('lan', guest, lan(first)).status, 0)
    await eventually('it is given back', () => !holds(second, 'lan', wanted))
    const owner = second.attach('lan', asking(second, wanted))
    t.equal(second.detach('lan', owner, lan(second)).status, 0)
  })

  await t.test('STATUS and GC', async t => {
    const status = (host: FleetHost, extra = lan(host)) => host.call('STATUS', 'lan', '', undefined, extra)
    t.equal(status(first).status, 0)
    const [kept, ...stale] = first.pods
    const left = { ...lan(first), 'cni.dev/valid-attachments': [{ containerID: kept!.id, ifname: 'eth0' }] }
    t.equal(first.call('GC', 'lan', '', undefined, left).status, 0)
    t.ok(holds(first, 'lan', kept!.addresses[0]!))
    for (const pod of stale) {
      t.notOk(holds(first, 'lan', pod.addresses[0]!))
      pods.delete(pod.addresses[0]!)
    }
    await first.stop()
    t.match(status(first), { status: 1, result: { code: 51 } }, 'addresses, but no agent')
    const pod = first.attach('lan', lan(first))
    t.ok(reaches(pod.ns, second.pods[0]!.addresses[0]!), 'a container is started without it')
    t.match(status(first, lan(first, segment, { exclude: blocksOf(first) })), { status: 1, result: { code: 50 } })
    t.equal(first.detach('lan', pod, lan(first)).status, 0)
    await first.start()
    await etcd.stop()
    t.equal(second.detach('lan', second.attach('lan', lan(second)), lan(second)).status, 0, 'nor the store')
    await etcd.start()
    await eventually('all is well', () => status(first).status === 0, 60_000)
  })

  await t.test('who does not agree is told', async t => {
    const other = lan(second, [{ subnet: '192.168.50.0/24', gateway: '192.168.50.9' }])
    t.throws(() => second.attach('lan', other),
      { message: /ranges\[0\]\.gateway 192\.168\.50\.9: the pool has 192\.168\.50\.1/ })
    t.throws(() => second.attach('lan2', lan(second, [{ subnet: '192.168.50.0/25' }])),
      { message: /overlaps .* of lan/ })
    t.throws(() => second.attach('lan2', lan(second, [{ subnet: '10.200.7.0/24' }])), { message: /of other \(101\)/ })
    t.throws(() => second.attach('other', lan(second)), { message: /network other is an overlay/ })
    t.throws(() => second.attach('lan'), { message: /network lan is a pool of addresses/ })
    t.match(fairlead('overlay', 'list', ...store), /\nlan +- +pool +192\.168\.50\.0\/24 +\d+ +16 of 16\n/)
    t.match(fairlead('overlay', 'inspect', 'lan', ...store), /range: +192\.168\.50\.1 to 192\.168\.50\.254\n/)
  })

  await t.test('a host dies, is removed, and its addresses are used elsewhere', async t => {
    const lost = third.pods.map(({ addresses }) => addresses[0]!)
    const [block = ''] = blocksOf(third)
    await third.stop()
    fleet.cable(fleet.hosts.indexOf(third) + 1, false)
    for (const ip of lost) pods.delete(ip)
    fairlead('host', 'rm', third.name, '--force', ...store)
    const heir = fleet.hosts.find(host => blocksOf(host).length === 0)!
    const given: string[] = []
    while (!lost.every(ip => given.includes(ip)) && given.length < 16) {
      const pod = heir.attach('lan', lan(heir))
      given.push(pod.addresses[0]!)
      t.notOk(pods.has(pod.addresses[0]!), `${pod.addresses[0]} is nobody else's`)
      note(heir, pod)
    }
    t.same(blocksOf(heir), [block], 'the block of the host that was removed')
    t.same(lost.filter(ip => !given.includes(ip)), [], `${lost.join(' ')} of ${given.join(' ')}`)
    t.ok(reaches(second.pods[0]!.ns, lost[0]!), 'now a container of another host')
  })
})

void test('a pool that is too small', { skip, timeout: 120_000 }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 2)
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'other', '--subnet', '10.200.0.0/16', ...store)
  await Promise.all(fleet.hosts.map(host => host.start()))
  for (const host of fleet.hosts) await isMember(host)
  const ranges = [{ subnet: '192.168.60.0/28' }, { subnet: 'fd00:60::/64', rangeStart: 'fd00:60::100' }]
  const [one, two] = fleet.hosts as [FleetHost, FleetHost]
  const made = [one.attach('tiny', lan(one, ranges))]
  // Asked for before its block has an owner: whoever gets the block must not hand it out again.
  const far = one.run('tiny')!.blocks.includes('192.168.60.12/30') ? '192.168.60.6' : '192.168.60.14'
  made.push(one.attach('tiny', { ...lan(one, ranges), runtimeConfig: { ips: [far] } }))
  while (made.length < 13) made.push(two.attach('tiny', lan(two, ranges)))
  const given = made.flatMap(({ addresses }) => addresses)
  t.equal(new Set(given).size, 26, given.join(' '))
  t.throws(() => two.attach('tiny', lan(two, ranges)),
    { message: /every block of 192\.168\.60\.0\/28 .* none is free \(101\)/ })
  t.match(two.call('STATUS', 'tiny', '', undefined, lan(two, ranges)), { status: 1, result: { code: 50 } })
  t.ok(reaches(made[0]!.ns, made[12]!.addresses[0]!) && reaches(made[0]!.ns, made[12]!.addresses[1]!))
  const third = made[5]
  t.equal(two.detach('tiny', third!, lan(two, ranges)).status, 0)
  t.equal(two.attach('tiny', lan(two, ranges)).addresses[0], third!.addresses[0], 'what was given back')

  // An address of one family is of no use without the other one.
  const uneven = [{ subnet: '192.168.61.0/28', blockLength: 28 }, { subnet: 'fd00:61::/126' }]
  for (let i = 0; i < 2; i++) one.attach('uneven', lan(one, uneven))
  t.throws(() => two.attach('uneven', lan(two, uneven)), { message: /fd00:61::\/126 of network uneven has an owner/ })
  t.notMatch(fairlead('overlay', 'inspect', 'uneven', ...store), /ADDRESS +HOST/, 'given back')
})

void test('records that are lost', { skip, timeout: 120_000 }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 2)
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'other', '--subnet', '10.200.0.0/16', ...store)
  await Promise.all(fleet.hosts.map(host => host.start()))
  for (const host of fleet.hosts) await isMember(host)
  const [lender, other] = fleet.hosts as [FleetHost, FleetHost]
  const ranges = [{ subnet: '192.168.70.0/29', rangeStart: '192.168.70.2', blockLength: 29 }]
  const own = lender.attach('lan', lan(lender, ranges))
  for (let i = 0; i < 4; i++) other.attach('lan', lan(other, ranges))
  const full = { message: /every block of .* has an owner/ }

  rmSync(`${lender.place.dataDir}/lan`, { recursive: true })
  lender.attach('lan', lan(lender, ranges)) // what this host had itself is forgotten
  t.throws(() => lender.attach('lan', lan(lender, ranges)), full, 'while the agent runs')
  for (const pod of lender.pods) lender.detach('lan', pod, lan(lender, ranges))

  await lender.stop()
  for (const directory of [lender.place.dataDir, lender.place.runDir]) rmSync(directory, { recursive: true })
  await lender.start()
  await Promise.allSettled([1, 2].map(() => lender.attachMeanwhile('lan', lan(lender, ranges))))
  t.same(lender.pods.map(({ addresses }) => addresses), [own.addresses], 'after a reboot: what is nobody else\'s')
})
