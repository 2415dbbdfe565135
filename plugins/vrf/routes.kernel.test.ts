// What an interface takes along into a VRF: all its routes and addresses, and nothing of others. Seen with ip.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { writeSysctl } from '#net/sysctl.ts'
import { anotherNamespace, connect, kernelLacks, lacks, observe, output, ownNamespace } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { vrf } from './vrf.ts'

type Test = Parameters<typeof ownNamespace>[0]
type Shown = Readonly<Record<string, unknown>>

/** Routes of every shape. Those of the last lines are the other interface's, too, or in other tables. */
const routes = `
route add default nexthop via 10.1.0.1 weight 3 nexthop via 10.1.0.9
route add ::/0 nexthop via fd00:1::1 weight 3 nexthop via fd00:1::9
route add 10.9.9.0/24 dev eth0 scope link src 10.1.0.2 metric 5
route add 198.51.100.0/24 via 10.1.0.1 metric 7 mtu lock 1300 advmss 1200 proto static
route add 198.51.100.0/24 via 10.1.0.9 metric 8
route add 203.0.113.0/24 via 192.168.77.1 dev eth0 onlink
route add 203.0.114.0/24 via 10.9.9.1
route add 192.0.3.0/24 via inet6 fd00:1::1 dev eth0
route add 2001:db8:1::/48 via fd00:1::1 metric 7 mtu 1400 pref high
route add 2001:db8:2::/48 via fd00:1::1 src fd00:1::2
route add 2001:db8:3::/48 dev eth0 metric 99
`
const sharedRoutes = `
route add 192.0.2.0/24 nexthop via 10.1.0.1 nexthop via 10.2.0.1 weight 5
route add 2001:db8:4::/48 nexthop via fd00:1::1 nexthop via fd00:2::1
`
const otherTables = `
route add 10.99.0.0/16 via 10.1.0.1 table 100
route add 2001:db8:5::/48 via fd00:1::1 table 100
route add default via 10.2.0.1 metric 50
route add ::/0 via fd00:2::1 metric 50
`

interface Place { readonly node: Node; readonly pod: Namespace; readonly router: Namespace }

const place = (t: Test): Place => {
  const node = new Node(t, vrf, { vrfname: 'blue', table: 1000 })
  const pod = node.pod()
  const router = anotherNamespace(t)
  connect(
    { ns: pod, name: 'eth0', addresses: ['10.1.0.2/24', 'fd00:1::2/64'] },
    { ns: router, name: 'in0', addresses: ['10.1.0.1/24', 'fd00:1::1/64'] },
  )
  connect(
    { ns: pod, name: 'eth1', addresses: ['10.2.0.2/24', 'fd00:2::2/64'] },
    { ns: router, name: 'in1', addresses: ['10.2.0.1/24', 'fd00:2::1/64'] },
  )
  const { index } = pod.link.get('eth0')
  // The kernel takes an address in a moment after it has been added, and then only accepts it as a source.
  for (let i = 0; !pod.route.local6(index).includes('fd00:1::2') && i < 100; i++) output(pod, 'sleep', ['0.01'])
  return { node, pod, router }
}

const add = ({ node, pod }: Place, keys: Json = {}): Json | undefined =>
  node.call('ADD', pod, node.config({ prevResult: result(pod), ...keys }))

const result = (pod: Namespace): Json => ({
  cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: pod.path }],
  ips: [{ address: '10.1.0.2/24', interface: 0 }, { address: 'fd00:1::2/64', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0', table: 254 }, { dst: '::/0' }, { dst: '10.99.0.0/16', table: 100 }],
})

/** What `ip route` says of a table, each route as text; neither what the kernel makes nor names of tables. */
const shown = (pod: Namespace, table: string): string[] => ['-4', '-6']
  .flatMap(family => observe(pod, 'ip', family, '-j', '-d', 'route', 'show', 'table', table) as Shown[])
  .filter(({ protocol }) => protocol !== 'kernel').map(({ table: _, ...route }) => JSON.stringify(route)).sort()

const addresses = (pod: Namespace): unknown => pod.addr.list(pod.link.get('eth0').index)
  .filter(({ scope }) => scope === 0).map(({ address, tentative }) => ({ address, tentative }))
  .sort((one, other) => one.address < other.address ? -1 : 1)

test('routes and addresses in a VRF', { skip: lacks('ip') || kernelLacks('vrf') }, async t => {
  t.test('move with all that they have, and stay when they are others\'', async t => {
    const here = place(t)
    const { node, pod } = here
    output(pod, 'ip', ['-batch', '-'], routes)
    const own = shown(pod, 'main')
    t.equal(own.length, 11)
    output(pod, 'ip', ['-batch', '-'], sharedRoutes + otherTables)
    const elsewhere = shown(pod, '100')
    add(here)
    const moved = shown(pod, '1000')
    t.same(moved.filter(route => own.includes(route)), own)
    t.match(moved.filter(route => !own.includes(route)).map(route => JSON.parse(route) as Shown), [
      { dst: '192.0.2.0/24', gateway: '10.1.0.1', dev: 'eth0' }, { dst: '2001:db8:4::/48', dev: 'eth0' },
    ])
    t.same(shown(pod, '100'), elsewhere)
    t.match(shown(pod, 'main').map(route => JSON.parse(route) as Shown), [
      { dst: '192.0.2.0/24', gateway: '10.2.0.1', dev: 'eth1' }, { dst: '2001:db8:4::/48', dev: 'eth1' },
      { dst: 'default', gateway: '10.2.0.1', metric: 50 }, { dst: 'default', gateway: 'fd00:2::1', metric: 50 },
    ])
    node.call('CHECK', pod, node.config({ prevResult: result(pod) }))
    const connected = observe(pod, 'ip', '-j', 'route', 'show', 'vrf', 'blue', 'proto', 'kernel') as Shown[]
    t.match(connected, [{ dst: '10.1.0.0/24' }])
  })

  t.test('the defaults of both interfaces of one VRF', async t => {
    const here = place(t)
    const { node, pod } = here
    for (const [i, ifName] of ['eth0', 'eth1'].entries()) {
      for (const via of [`10.${i + 1}.0.1`, `fd00:${i + 1}::1`])
        output(pod, 'ip', ['route', 'add', via.includes(':') ? '::/0' : '0/0', 'via', via])
      node.call('ADD', pod, node.config({ prevResult: result(pod) }), { ifName })
    }
    const found = pod.route.list().filter(({ dst, table }) => dst.endsWith('/0') && table === 1000)
    t.same(found.map(({ via }) => via).sort(), ['10.1.0.1', '10.2.0.1', 'fd00:1::1', 'fd00:2::1'])
  })

  for (const [kept, detecting] of [['0', '0'], ['1', '0'], ['0', '1'], ['1', '1']] as const) {
    t.test(`addresses with keep_addr_on_down ${kept} and accept_dad ${detecting}`, async t => {
      const here = place(t)
      const { pod, router } = here
      const { index } = pod.link.get('eth0')
      output(pod, 'ip', ['-batch', '-'], `address add fd00:3::2/64 dev eth0 nodad noprefixroute metric 77
address add fd00:4::2/64 dev eth0 nodad valid_lft 1000 preferred_lft 900\n`)
      for (const name of ['all', 'eth0']) pod.run(() => {
        writeSysctl(`ipv6/conf/${name}/accept_dad`, detecting)
        writeSysctl(`ipv6/conf/${name}/keep_addr_on_down`, kept)
      })
      for (let i = 0; pod.route.local6(index).length < 4 && i < 300; i++) output(pod, 'sleep', ['0.01'])
      const before = addresses(pod)
      t.match(before, [{ address: '10.1.0.2/24' }, ...[1, 3, 4].map(() => ({ tentative: false }))])
      add(here)
      t.same(addresses(pod), before, 'usable at once')
      t.match(output(pod, 'ip', ['-6', 'address', 'show', 'dev', 'eth0']),
        /fd00:4::2\/64 [^]*valid_lft (1000|99.)sec[^]*fd00:3::2\/64 metric 77 .*noprefixroute[^]*fd00:1::2/)
      for (const address of ['10.1.0.2', 'fd00:1::2']) output(router, 'ping', ['-n', '-c1', '-W1', address])
    })
  }

  t.test('a failed ADD leaves everything as before', async t => {
    const here = place(t)
    const { node, pod } = here
    output(pod, 'ip', ['-batch', '-'], routes + sharedRoutes + otherTables)
    // In the VRF there is no such address.
    output(pod, 'ip', ['route', 'add', '2001:db8:6::/48', 'dev', 'eth0', 'src', 'fd00:2::2'])
    const all = (): unknown => [shown(pod, 'main'), shown(pod, '100'), addresses(pod), pod.link.get('eth0').master]
    const before = all()
    t.throws(() => add(here), { message: /route append 2001:db8:6::\/48 table 1000: EINVAL/ })
    t.same(all(), before)
    t.equal(pod.link.find('blue'), undefined)
    output(pod, 'ip', ['link', 'add', 'blue', 'type', 'vrf', 'table', '1000'])
    t.throws(() => add(here), { message: /2001:db8:6::/ })
    t.same(all(), before)
    t.match(pod.link.get('blue'), { up: false, altNames: undefined }, 'a VRF that was there is as it was')
    output(pod, 'ip', ['route', 'del', '2001:db8:6::/48'])
    add(here)
    node.call('DEL', pod)
    t.match(pod.route.list().filter(({ dst }) => dst === '10.1.0.0/24'), [{ table: 254 }])
  })
})
