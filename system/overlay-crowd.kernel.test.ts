// Many hosts: how soon a new one is reachable from all others, and twenty that join at the same time.
import { test } from 'tap'
import { setTimeout } from 'node:timers/promises'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet, type FleetHost } from '../tools/fleet.ts'
import { kernelLacks, lacks, ownNamespace, pings } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']
const COUNT = 31
/** Far above what is promised (docs/performance.md): the machine may be busy with other tests. */
const SLOWEST = 5000

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** What a host sends from into the overlay. */
const own = (host: FleetHost): string => host.run('blue')!.blocks[0]!.split('/')[0]!

const knows = (host: FleetHost, address: string): boolean => host.routesInto('blue', address)

void test('new hosts', { skip, timeout: 120_000 }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), COUNT)
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'blue', '--subnet', '10.200.0.0/16', ...store)
  const early = fleet.hosts.slice(0, 11)
  for (const host of early) await host.start()
  for (const host of early) await eventually('a member', async () => !('obstacle' in await host.ask({ op: 'status' })))
  const times: number[] = []
  for (const [i, host] of early.entries()) {
    const start = performance.now()
    await host.insist({ op: 'join', network: 'blue' })
    const address = own(host)
    const waiting = new Set(early.slice(0, i))
    while (waiting.size > 0 && performance.now() - start < SLOWEST) {
      for (const other of waiting) if (knows(other, address)) waiting.delete(other)
      if (waiting.size > 0) await setTimeout(1)
    }
    times.push(performance.now() - start)
    for (const other of early.slice(0, i)) t.ok(pings(other.ns, address), `${other.name} reaches ${host.name} at once`)
  }
  const joined = times.slice(1)
  t.comment('from asking for a part in the network until reachable from all others: ' +
    `median ${Math.round(median(joined))} ms, all: ${joined.map(Math.round).join(' ')}`)
  t.ok(median(joined) < SLOWEST)

  const late = fleet.hosts.slice(11)
  const start = performance.now()
  await Promise.all(late.map(host => host.start()))
  await Promise.all(late.map(host => host.insist({ op: 'join', network: 'blue' })))
  const answered = performance.now() - start
  const pairs = fleet.hosts.flatMap(from => fleet.hosts.filter(to => to !== from).map(to => [from, own(to)] as const))
  const open = new Set(pairs)
  await eventually('all know all', () => {
    for (const pair of open) if (knows(...pair)) open.delete(pair)
    return open.size === 0
  }, 30_000)
  t.comment(`${late.length} agents started at once: members after ${Math.round(answered)} ms, ` +
    `all ${pairs.length} pairs after ${Math.round(performance.now() - start)} ms`)
  t.equal(new Set(fleet.hosts.map(own)).size, COUNT, 'no block has two owners')
  t.ok(pairs.filter((_, i) => i % 19 === 0).every(([from, address]) => pings(from.ns, address)))
  t.comment(`memory of an agent: ${Math.round(median(fleet.hosts.map(({ memory }) => memory)))} MB`)
})
