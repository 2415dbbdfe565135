// Hosts that say nothing: one that has died is removed when the grace period is over, one without a resident agent is
// not, however long it has nothing to say.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet, type FleetHost } from '../tools/fleet.ts'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']

interface Listed { readonly host: string; readonly alive: boolean; readonly blocks: number }

const listed = (): ReadonlyMap<string, Listed> =>
  new Map((JSON.parse(fairlead('host', 'list', '--json', ...store)) as Listed[]).map(entry => [entry.host, entry]))

void test('hosts that are silent', { skip, timeout: 180_000 }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 5, { options: ['--grace-period', '3'] })
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'blue', '--subnet', '10.200.0.0/16', '--subnet', 'fd00:200::/48', ...store)
  const [first, second, dead, lone, other] = fleet.hosts as [FleetHost, FleetHost, FleetHost, FleetHost, FleetHost]
  for (const host of [first, second, dead]) await host.start()
  for (const host of [first, second, dead]) await host.insist({ op: 'join', network: 'blue' })
  const [a, b, c] = [first, second, dead].map(host => host.attach('blue'))

  await t.test('without a resident agent', async t => {
    const agentless = (host: FleetHost): object => {
      mkdirSync(host.stateDirectory, { recursive: true, mode: 0o700 })
      const agentConfig = `${host.stateDirectory}.json`
      const pairs = host.options.map((key, i, all) => [key.slice(2), all[i + 1]] as const).filter((_, i) => i % 2 === 0)
      writeFileSync(agentConfig, JSON.stringify(Object.fromEntries(pairs.filter(([key]) => key !== 'run-dir'))))
      return { agent: 'none', agentConfig }
    }
    const [d, e] = [lone, other].map(host => host.attach('blue', agentless(host)))
    for (const [from, to] of [[d, a], [e, a], [a, d], [b, e]] as const)
      for (const ip of to!.addresses) t.ok(reaches(from!.ns, ip), `${from!.id} to ${to!.id}`)
    t.notOk(pings(d!.ns, e!.addresses[0]!), 'the first one hears of the second with its next request')
    const f = lone.attach('blue', agentless(lone))
    for (const ip of e!.addresses) t.ok(reaches(d!.ns, ip) && reaches(f.ns, ip))
    t.equal(lone.call('STATUS', 'blue', '', undefined, agentless(lone)).status, 0)
    t.match(lone.call('STATUS', 'nowhere', '', undefined, agentless(lone)).result,
      { code: 50, msg: /there is no network nowhere/, details: /fairlead overlay create nowhere/ })
    const run = lone.ns.run(() => spawnSync('build/bin/fairlead', ['agent', '--once', ...lone.options],
      { input: '{"op":"status"}\n', encoding: 'utf8' }))
    t.match(JSON.parse(run.stdout), { ok: true, host: 'h4', vtep: '192.0.2.4' })
    t.equal(lone.call('DEL', 'blue', f.id, f.ns, agentless(lone)).status, 0)
    const start = performance.now()
    const g = first.attach('blue', agentless(first))
    t.ok(performance.now() - start < 8000 && reaches(g.ns, a!.addresses[0]!), 'one that is there is asked all the same')
    first.detach('blue', g)
    t.same(['h4', 'h5'].map(host => listed().get(host)?.alive), [true, true])
  })

  await dead.stop('SIGKILL')
  t.ok(reaches(a!.ns, c!.addresses[0]!), 'its containers do not need it')
  const silent = await eventually('it is silent', () => listed().get('h3')?.alive === false, 60_000)
  t.ok(pings(a!.ns, c!.addresses[0]!), 'nor does anybody take it for dead')
  const gone = await eventually('it is removed', () => !listed().has('h3'), 60_000)
  t.comment(`silent after ${Math.round(silent / 1000)} s, removed ${Math.round(gone / 1000)} s later`)
  await eventually('the janitor says so', () =>
    [first, second].some(({ log }) => log.includes('host h3 was silent for 3 s and is removed')))
  await eventually('nobody has an entry', () => [first, second].every(({ ns }) =>
    [['ip', 'route'], ['bridge', 'fdb'], ['ip', 'neigh', 'show', 'nud', 'permanent'], ['nft', 'list', 'ruleset']]
      .every(([command, ...args]) => !/192\.0\.2\.3\b/.test(output(ns, command!, args)))))
  t.notOk(pings(a!.ns, c!.addresses[0]!))
  t.same([...listed().keys()].sort(), ['h1', 'h2', 'h4', 'h5'], 'those without an agent stay')
  t.ok(reaches(a!.ns, b!.addresses[0]!))

  await dead.start()
  await eventually('it comes back', () => listed().get('h3')?.alive === true)
  await eventually('with what nobody took', () => pings(a!.ns, c!.addresses[0]!))
  t.equal(listed().get('h3')?.blocks, 2)
})
