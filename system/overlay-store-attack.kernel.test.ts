// A store in which somebody writes what no agent would: nobody's packets go astray, no agent falls over, and the hosts
// that behave go on.
import { test } from 'tap'
import { blockKey, clusterKey, hosts, nets, root, staticKey } from '../agent/layout.ts'
import { Etcd } from '../agent/store/etcd.ts'
import { put, remove } from '../agent/store/transaction.ts'
import { tunnelMac } from '../agent/underlay.ts'
import { startEtcd } from '../tools/etcd.ts'
import { eventually, fairlead, Fleet } from '../tools/fleet.ts'
import { kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('etcd') || lacks('ping') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

const store = ['--store', 'http://192.0.2.254:2379']
const mac = tunnelMac('evil')
const record = (facts: object): string => JSON.stringify({ vtep4: '192.0.2.66', mac, token: 'x', mtu: 1500, ...facts })
const block = (text: string, host: unknown = 'evil'): string => JSON.stringify({ host, block: text })
const evil = hosts.key('evil')
const evilBlock = blockKey('blue', '10.200.66.0/24')
const good = [evilBlock, block('10.200.66.0/24')] as const

type Pairs = readonly (readonly [string, string])[]

const attacks: Readonly<Record<string, Pairs>> = {
  'no JSON': [[evil, '{"vtep4":'], [evilBlock, ''], [nets.key('red/config'), '}'], [nets.key('blue/static/zz'), '[1]']],
  'JSON of another kind': [[evil, 'null'], [evilBlock, '[]'], [nets.key('red/config'), '"x"']],
  'numbers for texts': [[evil, '{"vtep4":7,"mac":9,"token":1,"name":{},"mtu":"x"}'],
    [evilBlock, '{"host":"evil","block":5}'],
    [staticKey('blue', '10.200.66.9'), '{"host":"evil","ip":3,"granted":true}']],
  'no address': [[evil, record({ vtep4: 'localhost' })], good],
  'an address with a zero in front': [[evil, record({ vtep4: '192.0.2.066' })], good],
  'a tunnel end at a multicast address': [[evil, record({ vtep4: '224.0.0.1' })], good],
  'a tunnel end on the loopback': [[evil, record({ vtep4: '127.0.0.1' })], good],
  'a tunnel end everywhere': [[evil, record({ vtep4: '0.0.0.0' })], good],
  'our own tunnel end': [[evil, record({ vtep4: '192.0.2.1' })], good],
  'a tunnel end inside the overlay': [[evil, record({ vtep4: '10.200.66.7' })], good],
  'no hardware address': [[evil, record({ mac: 'xx' })], good],
  'a hardware address of many': [[evil, record({ mac: '01:00:5e:00:00:01' })], good],
  'everything is behind it': [[evil, record({})], [blockKey('blue', '0.0.0.0/0'), block('0.0.0.0/0')]],
  'half of everything': [[evil, record({})], [blockKey('blue', '128.0.0.0/1'), block('128.0.0.0/1')]],
  'the underlay is behind it': [[evil, record({})], [blockKey('blue', '192.0.2.0/24'), block('192.0.2.0/24')]],
  'all of the network': [[evil, record({})], [blockKey('blue', '10.200.0.0/16'), block('10.200.0.0/16')]],
  'key and value differ': [[evil, record({})], [evilBlock, block('8.8.8.0/24')]],
  'a static address that is none of the network': [[evil, record({})],
    [staticKey('blue', '192.0.2.254'), '{"host":"evil","ip":"192.0.2.254","granted":true,"container":"c"}']],
  'a network above all others': [[nets.key('../config'), '{"vni":5,"port":4789,"addressing":"flat","ranges":[]}'],
    [nets.key('../blocks/0a000000-18'), block('10.0.0.0/24', 'h1')]],
  'a network that names a file': [[nets.key('..%2f..%2fetc/config'), '{"vni":6}'], [nets.key('a b/config'), '{}'],
    [nets.key('a b/blocks/0a000000-18'), block('10.0.0.0/24', 'h1')]],
  'a network without ranges': [[nets.key('red/config'), '{"vni":9}'],
    [nets.key('red/blocks/0a000000-18'), block('10.0.0.0/24', 'h1')]],
  'names that are long': [[hosts.key('x'.repeat(5000)), record({ name: 'y'.repeat(5000) })],
    [nets.key(`${'n'.repeat(5000)}/config`), '{"vni":10,"ranges":[{"subnet":"10.9.0.0/16","blockLength":24}]}']],
  'names that paint the terminal': [[hosts.key('\u001b[31mred'), record({ name: '\u001b]0;title\u0007' })]],
  'keys of a later version': [[`${root}future/x`, '1'], [nets.key('blue/future/y'), '2'], [hosts.key('a/b'), '{}']],
}

void test('what no agent would write', { skip, timeout: 240_000 }, async t => {
  const fleet = new Fleet(t, ownNamespace(t), 3)
  await startEtcd(t, { host: '192.0.2.254' })
  fairlead('overlay', 'create', 'blue', '--subnet', '10.200.0.0/16', ...store)
  const client = new Etcd({ endpoints: ['http://192.0.2.254:2379'] }, clusterKey)
  t.teardown(() => { client.close() })
  await Promise.all(fleet.hosts.map(host => host.start()))
  const [first, second, third] = fleet.hosts as [typeof fleet.hosts[0], typeof fleet.hosts[0], typeof fleet.hosts[0]]
  for (const host of [first, second]) await host.insist({ op: 'join', network: 'blue' })
  const [a, b] = [first.attach('blue'), second.attach('blue')]
  const routesOf = (host: typeof first): string[] => output(host.ns, 'ip', ['route', 'show', 'proto', '203'])
    .split('\n').filter(line => line !== '' && !/^(unreachable )?10\.200\.\d+\.\d+(\/24|\/16 metric)/.test(line))
  for (const [name, pairs] of Object.entries(attacks)) {
    await t.test(name, { timeout: 60_000 }, async t => {
      await client.commit([], pairs.map(([key, value]) => put(key, value)))
      // It has been followed when a host that joins after it is known; the third does so while it is there.
      await third.insist({ op: 'join', network: 'blue' })
      await eventually('the third host is reachable', () =>
        third.run('blue') !== undefined && pings(first.ns, third.run('blue')!.blocks[0]!.split('/')[0]!))
      // An agent that starts finds it in the listing.
      await second.stop('SIGTERM')
      await second.start()
      await eventually('it is back', async () => !('obstacle' in await second.ask({ op: 'status' })))
      for (const host of fleet.hosts) {
        t.equal(host.agent?.exitCode, null, `agent of ${host.name} runs`)
        t.same(routesOf(host), [], `routes of ${host.name}`)
      }
      t.ok(reaches(a.ns, b.addresses[0]!))
      t.ok(pings(first.ns, '192.0.2.254'))
      for (const words of [['host', 'list'], ['overlay', 'list'], ['overlay', 'inspect', 'blue']]) {
        t.notMatch(fairlead(...words, ...store), /[\u0000-\u0009\u000b-\u001f]/, words.join(' '))
        JSON.parse(fairlead(...words, '--json', ...store))
      }
      t.match(fairlead('host', 'list', ...store), /\nh1 .*\nh2 .*\nh3 /)
      await third.insist({ op: 'leave', network: 'blue' })
      await client.commit([], pairs.map(([key]) => remove(key)))
      await eventually('no trouble is left', async () => {
        const answers = await Promise.all(fleet.hosts.map(host => host.ask({ op: 'status' })))
        return answers.every(answer => answer.ok && (answer['troubles'] as readonly string[]).length === 0)
      })
    })
  }
  t.same(JSON.parse(fairlead('overlay', 'list', '--json', ...store)).length, 1)
  for (const host of fleet.hosts) t.same(Object.keys((await host.ask({ op: 'status' }))).includes('obstacle'), false)
})
