// Three hosts on one underlay: packets between their containers, and what mends them.
import { spawnSync } from 'node:child_process'
import { test } from 'tap'
import { kernelLacks, lacks, output, pings, reaches } from '#tools/kernel.ts'
import { fits, Lab, type LabHost } from '#tools/lab.ts'
import { ensureOverlay, removeOverlay, type OverlayState } from './overlay.ts'

const skip = lacks('ping') || lacks('ip') || kernelLacks('vxlan')

for (const [underlay, mtu] of [['ipv4', 1450], ['ipv6', 1430]] as const) {
  test(`over ${underlay}`, { skip }, async t => {
    const lab = new Lab(t, 3, underlay)
    const ensure = (host: LabHost): OverlayState => ensureOverlay(host.ns, host.overlay, lab.peersOf(host))
    const everyPair = function* () {
      for (const [i, from] of lab.hosts.entries())
        for (const [j] of lab.hosts.entries()) if (i !== j) for (const to of Lab.addresses(j + 1)) yield { from, to }
    }
    const unreached = (): string[] =>
      [...everyPair()].filter(({ from, to }) => !reaches(from.pod, to)).map(({ from, to }) => `${from.peer.vtep} ${to}`)
    const [first, second] = lab.hosts as [LabHost, LabHost]

    t.test('containers reach each other', async t => {
      t.notOk(pings(first.pod, Lab.addresses(2)[0]), 'not before')
      for (const host of lab.hosts) {
        const state = ensure(host)
        t.match(state, { mtu, refused: [], unreachable: [], removed: 0, link: { up: true, alias: 'fairlead:blue/' } })
        // Two forwarding entries, four neighbours of two families or two of one, four routes.
        t.equal(state.added, underlay === 'ipv4' ? 10 : 8)
      }
      t.same(unreached(), [])
      for (const to of Lab.addresses(2)) t.ok(pings(first.ns, to), `the host itself reaches ${to}`)
    })

    t.test('the largest packet comes through whole, and none that is larger', async t => {
      const narrow = [...everyPair()].filter(({ from, to }) => !fits(from.pod, to, mtu))
      t.same(narrow.map(({ to }) => to), [])
      for (const to of Lab.addresses(2)) t.notOk(fits(first.pod, to, mtu + 1), `${mtu + 1} to ${to}`)
    })

    t.test('what is in place is left alone', async t => {
      const facts = (): string =>
        ['address', 'route', 'neigh'].map(what => output(first.ns, 'ip', ['-d', what, 'show', 'dev', 'fl-vx001001']))
          .join('\n').replace(/valid_lft.*/g, '')
      const before = facts()
      for (const host of lab.hosts) t.match(ensure(host), { added: 0, removed: 0 })
      t.equal(facts(), before)
    })

    t.test('mends what others have broken', async t => {
      const broken: Readonly<Record<string, readonly string[]>> = {
        'the device is deleted': ['ip', 'link', 'del', 'fl-vx001001'],
        'the device is down': ['ip', 'link', 'set', 'fl-vx001001', 'down'],
        'it has another MTU': ['ip', 'link', 'set', 'fl-vx001001', 'mtu', '1200'],
        'it has another hardware address': ['ip', 'link', 'set', 'fl-vx001001', 'address', '02:00:00:00:00:99'],
        'its addresses are flushed': ['ip', 'address', 'flush', 'dev', 'fl-vx001001'],
        'routes of IPv4 are flushed': ['ip', 'route', 'flush', 'dev', 'fl-vx001001'],
        'routes of IPv6 are flushed': ['ip', '-6', 'route', 'flush', 'dev', 'fl-vx001001'],
        'neighbours are flushed': ['ip', 'neigh', 'flush', 'dev', 'fl-vx001001', 'nud', 'permanent'],
        'a forwarding entry is gone': ['bridge', 'fdb', 'del', second.peer.mac, 'dev', 'fl-vx001001'],
      }
      for (const [what, [command = '', ...args]] of Object.entries(broken)) {
        output(first.ns, command, args)
        t.same(ensure(first).refused, [], what)
        t.match(ensure(first), { added: 0, removed: 0 }, 'at once')
        t.same(unreached(), [], what)
        for (const to of Lab.addresses(2)) t.ok(fits(first.pod, to, mtu), `${what}: ${mtu} bytes`)
      }
    })

    t.test('follows the MTU of the underlay', async t => {
      lab.setUnderlayMtu(1, 1400)
      lab.setUnderlayMtu(2, 1400)
      for (const host of [first, second]) t.equal(ensure(host).mtu, mtu - 100)
      for (const to of Lab.addresses(2)) {
        t.notOk(fits(first.pod, to, mtu), 'its container is told')
        t.ok(fits(first.pod, to, mtu - 100))
      }
      lab.setUnderlayMtu(1, 1320)
      t.throws(() => ensure(first), { message: /1270|1250/ })
      for (const number of [1, 2]) lab.setUnderlayMtu(number, 1500)
      for (const host of [first, second]) t.equal(ensure(host).mtu, mtu)
    })

    t.test('a dead host is told of at once', async t => {
      ensureOverlay(first.ns, first.overlay, [{ ...second.peer, unreachable: true }])
      for (const to of Lab.addresses(2)) {
        const { stdout } = first.pod.run(() => spawnSync('ping', ['-n', '-c1', '-W2', to], { encoding: 'utf8' }))
        t.match(stdout, /Destination (Host )?[Uu]nreachable/, to)
      }
      t.same(ensure(first).refused, [])
      t.same(unreached(), [])
    })

    t.test('a host that leaves, and its prefix elsewhere', async t => {
      const [, , third] = lab.hosts as [LabHost, LabHost, LabHost]
      const heir = { ...third.peer, prefixes: [...third.peer.prefixes, ...second.peer.prefixes] }
      const state = ensureOverlay(first.ns, first.overlay, [heir])
      t.match(state, { refused: [], added: 2 })
      const seen = output(first.ns, 'bridge', ['fdb', 'show', 'dev', 'fl-vx001001']) +
        output(first.ns, 'ip', ['neigh', 'show', 'dev', 'fl-vx001001']) + output(first.ns, 'ip', ['-6', 'route']) +
        output(first.ns, 'ip', ['route'])
      t.notMatch(seen, second.peer.mac)
      t.match(ensure(first), { added: underlay === 'ipv4' ? 5 : 4, removed: 0 }, 'and comes back')
      t.same(unreached(), [])
    })

    t.test('goes without a trace', async t => {
      for (const { ns } of lab.hosts) {
        for (let i = 0; i < 2; i++) removeOverlay(ns, first.overlay)
        t.same(ns.link.list({ kind: 'vxlan' }), [])
        t.equal(output(ns, 'ip', ['route', 'show', 'proto', '203']), '')
      }
    })
  })
}
