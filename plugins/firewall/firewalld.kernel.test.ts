// firewall with a real firewalld, whose default zone rejects what the host would forward.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { writeSysctl } from '#net/sysctl.ts'
import { addBridge, addContainer } from '#tools/bridges.ts'
import { Firewalld, lacksFirewalld } from '#tools/firewalld.ts'
import { lacks, output, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { firewallPlugin } from './firewall.ts'

const skip = lacks('ip') || lacks('nft') || lacks('ping') || lacksFirewalld()
const REFERENCE = '/usr/lib/cni/firewall'

const use = (address: string): void => { process.env['DBUS_SYSTEM_BUS_ADDRESS'] = address }
const NOWHERE = 'unix:path=/nonexistent/bus'

test('firewalld', { skip }, async t => {
  const node = new Node(t, firewallPlugin, {})
  const { host } = node
  addBridge(host, 1)
  for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
  const outside = node.uplink({ own: ['192.0.2.1/24', '2001:db8::1/64'], there: ['192.0.2.2/24', '2001:db8::2/64'] })
  const { index: dev } = outside.link.get('out0')
  outside.route.add({ dst: '10.1.0.0/16', via: '192.0.2.1', dev })
  outside.route.add({ dst: 'fd00::/16', via: '2001:db8::1', dev })
  const one = addContainer(t, host, 1, 2)
  const { pod, containerId, prevResult } = one
  const call = (verb: string, keys: Json = {}, where: Namespace | undefined = pod): Json | undefined =>
    node.call(verb, where, node.config({ prevResult, ...keys }), { containerId })
  const own = (): string =>
    output(host, 'nft', ['list', 'tables']).match(/.*fairlead.*|table ip6? filter/g)?.join() ?? ''
  const reached = (): boolean[] => ['192.0.2.2', '2001:db8::2'].map(address => reaches(pod, address, 2))

  use(NOWHERE)
  t.throws(() => call('ADD', { backend: 'firewalld' }), { code: 50, message: /backend firewalld: .*no system bus/ })
  t.throws(() => node.call('STATUS', undefined, node.config({ backend: 'firewalld' })), { code: 50 })
  t.equal(own(), '')

  const firewalld = new Firewalld(t)
  use(firewalld.address)
  const sources = ['10.1.1.2/32', 'fd00:1::2/128'] as const
  const trusted = (zone = 'trusted'): boolean[] => sources.map(source => firewalld.has(zone, source))
  node.call('STATUS', undefined, node.config({ backend: 'firewalld' }))

  t.test('where it runs it is the default, and containers get through', async t => {
    t.same(reached(), [false, false])
    call('ADD')
    t.same(trusted(), [true, true])
    t.same(reached(), [true, true])
    t.notMatch(own(), /table ip6? filter/, 'nothing is marked')
    call('CHECK')
    firewalld.reload()
    t.same(trusted(), [false, false])
    t.throws(() => call('CHECK'), { code: 102, message: /10\.1\.1\.2 is not in zone trusted of firewalld/ })
    call('ADD')
    call('CHECK')
    call('DEL')
    t.same(trusted(), [false, false])
    t.same(reached(), [false, false])
    t.equal(own(), '')
    call('DEL')
  })

  t.test('DEL and GC know the zone without result, namespace and key', async t => {
    call('ADD', { firewalldZone: 'internal', ingressPolicy: 'isolated' })
    t.same(trusted('internal'), [true, true])
    t.match(output(host, 'nft', ['list', 'set', 'inet', 'fairlead_firewall', 'confined']), '"br1"')
    node.call('DEL', undefined, node.config({ backend: 'nftables' }), { containerId })
    t.same(trusted('internal'), [false, false])
    t.equal(own(), '')
    call('ADD')
    const gc = (...ids: string[]): void => {
      const valid = ids.map(containerID => ({ containerID, ifname: 'eth0' }))
      node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': valid }))
    }
    gc(containerId)
    t.same(trusted(), [true, true])
    gc()
    t.same(trusted(), [false, false])
    t.equal(own(), '')
  })

  t.test('a zone that is none is refused, and nothing stays', async t => {
    t.throws(() => call('ADD', { firewalldZone: 'nowhere' }), { code: 50, message: /INVALID_ZONE: nowhere/ })
    t.equal(own(), '')
  })

  t.test('a later owner keeps what an earlier one had', async t => {
    call('ADD')
    node.call('ADD', pod, node.config({ prevResult }), { containerId: 'later' })
    call('DEL')
    t.same(trusted(), [true, true])
    node.call('DEL', pod, node.config({ prevResult }), { containerId: 'later' })
    t.same(trusted(), [false, false])
  })

  t.test('what runs no more has nothing to remove', async t => {
    call('ADD')
    use(NOWHERE)
    call('DEL')
    t.equal(own(), '')
    use(firewalld.address)
    call('DEL', { backend: 'firewalld' })
    t.same(trusted(), [false, false], 'as if the reference plugin had done it')
  })

  t.test('what the reference plugin did', { skip: !existsSync(REFERENCE) && `no ${REFERENCE}` }, async t => {
    const old = { ...prevResult, cniVersion: '1.0.0' }
    const { status, stdout } = spawnSync(REFERENCE, [], {
      encoding: 'utf8',
      input: JSON.stringify({ ...node.config({ prevResult: old }), cniVersion: '1.0.0', backend: 'firewalld' }),
      env: {
        ...process.env, CNI_COMMAND: 'ADD', CNI_CONTAINERID: containerId, CNI_NETNS: pod.path, CNI_IFNAME: 'eth0',
        CNI_PATH: '/usr/lib/cni',
      },
    })
    t.equal(status, 0, stdout)
    t.same(trusted(), [true, true])
    call('CHECK', { backend: 'firewalld' })
    call('CHECK')
    t.throws(() => call('CHECK', { backend: 'nftables' }), { code: 102 })
    call('DEL')
    t.same(trusted(), [false, false])
  })
})
