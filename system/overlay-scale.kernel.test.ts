// An agent among 5,000 hosts, of which one is real: what it takes to program them all, and in memory.
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet } from '../tools/fleet.ts'
import { kernelLacks, lacks, output, ownNamespace } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'
import { blockEntry, removeEntries, simulateHosts, writeEntries } from '../tools/simulated-hosts.ts'

const skip = lacks('etcd') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const STORE = 'http://192.0.2.254:2379'
const COUNT = 5000
/** docs/performance.md promises 80 MB. */
const MOST_MEGABYTES = 110

void test('5,000 hosts', { skip, timeout: 180_000 }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 1)
  const [host] = fleet.hosts
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'blue', '--subnet', '10.0.0.0/8', '--store', STORE)
  await simulateHosts(STORE, 'blue', COUNT)
  const routes = (): number => output(host!.ns, 'ip', ['route', 'show', 'proto', '203']).split('\n').length - 1
  output(host!.ns, 'ip', ['route', 'add', 'default', 'via', '192.0.2.254'])
  const start = performance.now()
  await host!.start()
  const joined = async () => {
    const answer = await host!.ask({ op: 'status' })
    return !('obstacle' in answer) && Number((answer as { readonly hosts?: number }).hosts) > COUNT
  }
  await eventually('all hosts are listed', joined)
  t.comment(`${COUNT} hosts are listed ${Math.round(performance.now() - start)} ms after the agent was started`)
  const asked = performance.now()
  await host!.insist({ op: 'join', network: 'blue' })
  t.comment(`a block claimed and ${COUNT} hosts programmed in ${Math.round(performance.now() - asked)} ms`)
  t.equal(routes(), COUNT + 1, 'a route for each, and the fence')
  await setTimeout(3000)
  t.ok(host!.memory < MOST_MEGABYTES)
  t.comment(`memory of the agent: ${Math.round(host!.memory)} MB`)

  await host!.stop('SIGKILL')
  const again = performance.now()
  await host!.start()
  await eventually('a member', async () => !('obstacle' in await host!.ask({ op: 'status' })))
  t.comment(`restarted with all entries in place: ${Math.round(performance.now() - again)} ms`)

  const another = blockEntry('blue', 'x7', '10.250.0.0/24')
  await writeEntries(STORE, another)
  const added = await eventually('one more block', () => routes() === COUNT + 2)
  await removeEntries(STORE, another)
  const removed = await eventually('one block less', () => routes() === COUNT + 1)
  t.comment(`one block more after ${Math.round(added)} ms, less after ${Math.round(removed)} ms, listing included`)
  await setTimeout(3000)
  t.comment(`memory of the agent: ${Math.round(host!.memory)} MB`)
})
