// One subnet over two hosts, in blocks of /26, and an address of the one's block that lives on the other.
import { test } from 'tap'
import { anotherNamespace, connect, kernelLacks, lacks, observe, pings, reaches } from '#tools/kernel.ts'
import { fits, Lab, type LabHost } from '#tools/lab.ts'
import type { Namespace } from './namespace.ts'
import { answerForOthers, syncResidents } from './overlay-flat.ts'
import { ensureOverlay } from './overlay.ts'

const skip = lacks('ping') || lacks('ip') || kernelLacks('vxlan')
const GATEWAYS = ['10.230.0.1', 'fd00:230::1'] as const

test('a flat overlay', { skip }, async t => {
  const lab = new Lab(t, 2, 'ipv4')
  const [first, second] = lab.hosts as [LabHost, LabHost]
  const bridges = new Map(lab.hosts.map(({ ns }) => {
    ns.link.add({ name: 'br0', address: '02:cb:00:00:01:01', info: { kind: 'bridge' } })
    const { index } = ns.link.get('br0')
    ns.requestAll([
      ns.link.setting(index, { up: true }),
      ns.addr.adding({ index, address: `${GATEWAYS[0]}/16` }),
      ns.addr.adding({ index, address: `${GATEWAYS[1]}/128`, noDad: true }),
    ])
    answerForOthers(ns, 'br0')
    return [ns, index]
  }))
  /** IPv6 of a flat overlay is not on the link, but routed address by address. */
  const pod = ({ ns }: LabHost, name: string, address4: string, address6: string): Namespace => {
    const there = anotherNamespace(t)
    connect(
      { ns, name, addresses: [], master: bridges.get(ns)! },
      { ns: there, name: 'eth0', addresses: [`${address4}/16`, `${address6}/128`] },
    )
    const dev = there.link.get('eth0').index
    there.route.add({ dst: `${GATEWAYS[1]}/128`, dev })
    there.route.add({ dst: '::/0', via: GATEWAYS[1], dev })
    ns.route.add({ dst: `${address6}/128`, dev: bridges.get(ns)! })
    return there
  }
  const [a, neighbour, b] = [
    pod(first, 'a', '10.230.0.70', 'fd00:230::1:70'), pod(first, 'n', '10.230.0.71', 'fd00:230::1:71'),
    pod(second, 'b', '10.230.0.140', 'fd00:230::2:140'),
  ]
  const guest = pod(second, 'g', '10.230.0.99', 'fd00:230::1:99')
  const block = { first: ['10.230.0.64/26', 'fd00:230::1:0/112'], second: ['10.230.0.128/26', 'fd00:230::2:0/112'] }
  const addresses: readonly string[] = []

  const share = (guests: readonly string[]): void => {
    const statics = guests.map(address => `${address}/${address.includes(':') ? 128 : 32}`)
    ensureOverlay(first.ns, { ...first.overlay, addresses }, [
      { ...second.peer, prefixes: [...block.second, ...statics] },
    ])
    ensureOverlay(second.ns, { ...second.overlay, addresses }, [{ ...first.peer, prefixes: block.first }])
    t.same(syncResidents(second.ns, bridges.get(second.ns)!, guests).refused, [])
  }

  t.test('blocks', async t => {
    share([])
    t.ok(pings(a, '10.230.0.71'), 'on the same host')
    for (const to of ['10.230.0.140', 'fd00:230::2:140']) t.ok(pings(a, to), `the other block at once: ${to}`)
    for (const to of ['10.230.0.70', 'fd00:230::1:70']) t.ok(pings(b, to), `and back: ${to}`)
    t.ok(fits(a, '10.230.0.140', 1450))
    t.notOk(pings(a, '10.230.0.99'), 'not yet the guest')
  })

  t.test('an address of another host\'s block', async t => {
    share(['10.230.0.99', 'fd00:230::1:99'])
    for (const from of [a, neighbour, b]) t.ok(reaches(from, '10.230.0.99'))
    for (const to of ['10.230.0.70', 'fd00:230::1:70', '10.230.0.140']) t.ok(reaches(guest, to), `from it to ${to}`)
    t.ok(reaches(a, 'fd00:230::1:99'))
    const again = syncResidents(second.ns, bridges.get(second.ns)!, ['fd00:230::1:99', '10.230.0.99'])
    t.match(again, { added: 0, removed: 0 })
    t.match(observe(second.ns, 'ip', '-j', 'route', 'show', '10.230.0.99'), [{ dev: 'br0', protocol: '203' }])
  })

  t.test('goes home', async t => {
    // What was a guest there is an ordinary address of its own block from now on.
    share([])
    t.same(observe(first.ns, 'ip', '-j', 'route', 'show', '10.230.0.99'), [])
    t.same(observe(second.ns, 'ip', '-j', 'route', 'show', '10.230.0.99'), [])
    pod(first, 'h', '10.230.0.99', 'fd00:230::1:99')
    t.ok(reaches(b, '10.230.0.99'))
    t.ok(reaches(a, '10.230.0.99'))
  })

  t.test('moves here from elsewhere in one step', async t => {
    const { ns } = second
    const before = { ...first.peer, prefixes: [...block.first, '10.230.0.100/32'] }
    ensureOverlay(ns, { ...second.overlay, addresses }, [before])
    t.match(syncResidents(ns, bridges.get(ns)!, ['10.230.0.100']), { added: 1, refused: [] })
    t.match(observe(ns, 'ip', '-j', 'route', 'show', '10.230.0.100'), [{ dev: 'br0' }])
    t.match(ensureOverlay(ns, { ...second.overlay, addresses }, [{ ...first.peer, prefixes: block.first }]), {
      added: 0, removed: 0,
    })
  })
})
