// Overlay networks over several hosts with a real etcd: all pairs of containers, then what can happen to agents and
// store.
import { test } from 'tap'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet } from '../tools/fleet.ts'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { fits } from '../tools/lab.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'
import { httpAnswers } from '../tools/http-answers.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']
const subnets = ['--subnet', '10.200.0.0/16', '--subnet', 'fd00:200::/48']

void test('three hosts', { skip }, async t => {
  const own = ownNamespace(t)
  const fleet = new Fleet(t, own, 3)
  const etcd = await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'blue', ...subnets, ...store)
  await Promise.all(fleet.hosts.map(host => host.start()))
  for (const host of fleet.hosts) await host.insist({ op: 'join', network: 'blue' })
  const pods = fleet.hosts.flatMap(host => [host.attach('blue'), host.attach('blue')])

  await t.test('all pairs', async t => {
    const all = pods.flatMap(from => pods.filter(to => to !== from).flatMap(to =>
      to.addresses.map(address => ({ from, address }))))
    const lost = all.filter(({ from, address }) => !reaches(from.ns, address, 2))
    t.same(lost.map(({ from, address }) => `${from.id} to ${address}`), [])
    t.equal(all.length, 60)
    t.comment(`${all.length} pairs`)
    const [from, , to] = pods as [typeof pods[0], unknown, typeof pods[0]]
    for (const address of to.addresses) {
      t.ok(fits(from.ns, address, 1450), 'the largest packet')
      t.notOk(fits(from.ns, address, 1451))
      t.ok(await httpAnswers(from.ns, to.ns, address), 'TCP')
    }
    for (const host of fleet.hosts) t.equal(host.call('STATUS', 'blue', '', undefined).status, 0)
    t.match(fleet.hosts[0]!.call('STATUS', 'nowhere', '', undefined),
      { status: 1, result: { code: 50, msg: /there is no network nowhere in the store/ } })
    const ranges = [{ subnet: '10.201.0.0/16' }]
    t.equal(fleet.hosts[0]!.call('STATUS', 'nowhere', '', undefined, { ranges }).status, 0, 'ADD would make it')
  })

  const reachable = () => pods.every(from => pods.every(to => from === to || pings(from.ns, to.addresses[0]!)))

  await t.test('an agent is killed and comes back', async t => {
    const [first, second] = fleet.hosts as [typeof fleet.hosts[0], typeof fleet.hosts[0]]
    const before = first.run('blue')
    await first.stop('SIGKILL')
    t.ok(reachable(), 'nobody notices')
    const pod = first.attach('blue')
    t.ok(reaches(second.pods[0]!.ns, pod.addresses[0]!), 'a container is started without it')
    t.match(first.call('STATUS', 'blue', '', undefined), { status: 1, result: { code: 51 } })
    t.equal(first.detach('blue', pod).status, 0)
    await first.start()
    await eventually('the agent is back', async () => !('obstacle' in await first.ask({ op: 'status' })))
    t.same(first.run('blue'), before)
    t.ok(reachable())
  })

  await t.test('the store is stopped, wiped, restored', async t => {
    const [first] = fleet.hosts as [typeof fleet.hosts[0]]
    await etcd.backup()
    await etcd.stop()
    t.ok(reachable(), 'nobody notices')
    first.detach('blue', first.attach('blue'))
    await eventually('the store is missed', async () => 'obstacle' in await first.ask({ op: 'status' }))
    t.match(first.call('STATUS', 'blue', '', undefined), { status: 1, result: { code: 51 } })
    const blocks = fleet.hosts.map(host => host.run('blue')?.blocks)
    await etcd.wipe()
    const listed = () =>
      JSON.parse(fairlead('host', 'list', '--json', ...store)) as { alive: boolean; blocks: number }[]
    const back = await eventually('all hosts are back', () => {
      const hosts = listed()
      return hosts.length === 3 && hosts.every(({ alive, blocks }) => alive && blocks === 2)
    }, 40_000)
    t.comment(`wiped store: all hosts are back after ${Math.round(back)} ms`)
    t.ok(reachable())
    await etcd.restore()
    await eventually('all hosts are back', async () => {
      const answers = await Promise.all(fleet.hosts.map(host => host.ask({ op: 'status' })))
      return answers.every(answer => answer.ok && !('obstacle' in answer)) && listed().every(({ alive }) => alive)
    }, 40_000)
    t.same(fleet.hosts.map(host => host.run('blue')?.blocks), blocks)
    t.ok(reachable())
  })

  await t.test('what somebody breaks is mended', async t => {
    const [first] = fleet.hosts as [typeof fleet.hosts[0]]
    const { device } = first.run('blue')!
    for (const harm of [
      ['link', 'del', device], ['route', 'flush', 'proto', '203'],
      ['neigh', 'flush', 'dev', device, 'nud', 'permanent'],
      ['link', 'set', device, 'down'],
    ]) {
      output(first.ns, 'ip', harm)
      const time = await eventually(`mended: ip ${harm.join(' ')}`, reachable)
      t.comment(`mended after ${Math.round(time)} ms: ip ${harm.join(' ')}`)
    }
    output(first.ns, 'ip', ['link', 'set', 'eth0', 'mtu', '1400'])
    await eventually('the MTU follows the underlay', () => first.run('blue')?.mtu === 1350)
    t.equal(first.ns.link.get(device).mtu, 1350)
    output(first.ns, 'ip', ['link', 'set', 'eth0', 'mtu', '1500'])
    await eventually('the MTU follows the underlay', () => first.run('blue')?.mtu === 1450)
  })

  await t.test('a partition heals', async t => {
    fleet.cable(3, false)
    t.notOk(reachable())
    const pod = fleet.hosts[2]!.attach('blue')
    fleet.cable(3, true)
    await eventually('all are reachable', reachable)
    t.ok(reaches(pods[0]!.ns, pod.addresses[0]!))
    fleet.hosts[2]!.detach('blue', pod)
  })
})
