// What ip(8) has made is copied, lost and put back; ip(8) sees no difference.
import { test } from 'tap'
import type { Namespace } from '#net/namespace.ts'
import { anotherNamespace, connect, lacks, observe, output, ownNamespace } from '#tools/kernel.ts'
import { copyAddresses6, copyRoutes, restoringAddress, restoringRoute, type RouteCopy } from './copy.ts'

const BOOT = 3 // RTPROT_BOOT of include/uapi/linux/rtnetlink.h

type Shown = Readonly<Record<string, unknown>>

/** What `ip route` says of a table, but for names of tables and what counts. */
const shown = (ns: Namespace, table: string): unknown =>
  ['-4', '-6'].flatMap(family => observe(ns, 'ip', family, '-j', '-d', 'route', 'show', 'table', table) as Shown[])
    .filter(({ protocol }) => protocol !== 'kernel')
    .map(({ table: _, expires: seconds, ...route }) => ({ ...route, expires: seconds !== undefined }))

const script = (ns: Namespace, lines: string): string => output(ns, 'ip', ['-batch', '-'], lines)

/** Routes of every shape, over two links. */
const routes = `
route add 10.9.9.0/24 dev one scope link src 10.1.0.2 metric 5
route add 198.51.100.0/24 via 10.1.0.1 metric 7 mtu lock 1300 advmss 1200 initcwnd 20 realm 3 proto static
route add 203.0.113.0/24 via 192.168.77.1 dev one onlink
route add default nexthop via 10.1.0.1 dev one weight 3 nexthop via 10.1.0.9 dev one
route add 192.0.2.0/24 nexthop via 10.1.0.1 dev one nexthop via 10.2.0.1 dev two weight 5
route add 192.0.3.0/24 via inet6 fd00:1::1 dev one
route add 2001:db8:1::/48 via fd00:1::1 metric 7 mtu 1400 pref high
route add 2001:db8:2::/48 via fd00:1::1 src fd00:1::2 expires 600
route add ::/0 nexthop via fd00:1::1 dev one weight 3 nexthop via fd00:1::9 dev one
route add 2001:db8:3::/48 nexthop via fd00:1::1 dev one nexthop via fd00:2::1 dev two
route add 10.99.0.0/16 dev one table 4000
route add 2001:db8:99::/48 dev one table 4000
`

test('copies of routes and addresses', { skip: lacks('ip') }, async t => {
  const place = (): { ns: Namespace; one: number; two: number } => {
    const ns = ownNamespace(t)
    const far = anotherNamespace(t)
    connect(
      { ns, name: 'one', addresses: ['10.1.0.2/24', 'fd00:1::2/64'] }, { ns: far, name: 'far1', addresses: [] },
    )
    connect(
      { ns, name: 'two', addresses: ['10.2.0.2/24', 'fd00:2::2/64'] }, { ns: far, name: 'far2', addresses: [] },
    )
    // The kernel takes an address in a moment after it has been added.
    for (let i = 0; ns.route.local6(ns.link.get('one').index).length < 1 && i < 100; i++) output(ns, 'sleep', ['0.01'])
    script(ns, routes)
    return { ns, one: ns.link.get('one').index, two: ns.link.get('two').index }
  }
  const made = (ns: Namespace): RouteCopy[] => copyRoutes(ns.rtnetlink).filter(({ protocol }) => protocol >= BOOT)
  const flush = (ns: Namespace): void => {
    for (const family of ['-4', '-6']) for (const maker of ['boot', 'static'])
      output(ns, 'ip', [family, 'route', 'flush', 'table', 'all', 'proto', maker])
  }

  t.test('back where they were', async t => {
    const { ns, one } = place()
    const before = [shown(ns, 'main'), shown(ns, '4000')]
    const copies = made(ns)
    t.equal(copies.length, 12)
    t.equal(copies.filter(({ devs }) => devs.every(dev => dev === one)).length, 10)
    flush(ns)
    t.same(shown(ns, 'main'), [])
    const late = (copy: RouteCopy): number => Number(copy.hasGateway)
    for (const copy of copies.sort((a, b) => late(a) - late(b))) ns.requestAll([restoringRoute(copy, {})])
    t.same([shown(ns, 'main'), shown(ns, '4000')], before)
    t.throws(() => ns.requestAll([restoringRoute(copies[0]!, {})]), { code: 'EEXIST' })
    ns.requestAll([restoringRoute(copies[0]!, { replace: true })])
    t.same(shown(ns, 'main'), before[0])
  })

  t.test('into another table, one with a number above 255', async t => {
    const { ns } = place()
    const before = shown(ns, 'main')
    for (const copy of made(ns).filter(({ table }) => table !== 4000))
      ns.requestAll([restoringRoute(copy, { table: 1000 })])
    t.same(shown(ns, '1000'), before)
    t.same(shown(ns, 'main'), before)
  })

  t.test('over one of its links, and in its place over the other', async t => {
    const { ns, one } = place()
    for (const copy of made(ns).filter(({ devs }) => new Set(devs).size > 1)) {
      ns.requestAll([
        restoringRoute(copy, { table: 77, over: dev => dev === one }),
        restoringRoute(copy, { over: dev => dev !== one, replace: true }),
      ])
    }
    const [ours, theirs] = ['77', 'main'].map(table => shown(ns, table) as Shown[])
    t.match(ours, [{ dst: '192.0.2.0/24', gateway: '10.1.0.1' }, { dst: '2001:db8:3::/48', gateway: 'fd00:1::1' }])
    for (const [dst, gateway] of [['192.0.2.0/24', '10.2.0.1'], ['2001:db8:3::/48', 'fd00:2::1']])
      t.match(theirs!.filter(route => route['dst'] === dst), [{ gateway, dev: 'two' }])
    t.equal(theirs!.filter(({ dst }) => dst === 'default').length, 2)
  })

  t.test('IPv6 addresses with what they have', async t => {
    const { ns, one } = place()
    script(ns, `address add fd00:3::2/64 dev one metric 77 noprefixroute
address add fd00:4::2 peer fd00:4::1/128 dev one
address add fd00:5::2/64 dev one valid_lft 1000 preferred_lft 900\n`)
    const seen = (): unknown => (observe(ns, 'ip', '-6', '-j', 'address', 'show', 'dev', 'one') as Shown[])
      .flatMap(({ addr_info: all }) => all as Shown[]).filter(({ scope }) => scope === 'global')
      .map(({ local, address, prefixlen, noprefixroute, metric, valid_life_time: valid }) =>
        ({ local, address, prefixlen, noprefixroute, metric, limited: Number(valid) <= 1000 }))
      .sort((one, other) => String(one.local) < String(other.local) ? -1 : 1)
    const before = seen()
    const copies = copyAddresses6(ns.rtnetlink, one)
    t.equal(copies.length, 5, 'four and the link-local one')
    output(ns, 'ip', ['-6', 'address', 'flush', 'dev', 'one'])
    ns.requestAll(copies.map(copy => restoringAddress(copy, true)))
    t.same(seen(), before)
    t.notOk(ns.addr.list(one).some(({ tentative }) => tentative))
    t.throws(() => ns.requestAll([restoringAddress(copies[0]!, true)]), { code: 'EEXIST' })
  })
})
