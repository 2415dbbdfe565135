// Area G: CHECK of links, addresses, routes and leases (SPEC.md, section 2, "CHECK").

import { globSync, rmSync } from 'node:fs'
import { mustNotice } from '../breakage.ts'
import { Skip, type Case } from '../case.ts'
import { linkIn } from '../container.ts'
import { errorOf, mustEqual, refuses, succeeds } from '../expect.ts'
import { address4, address6, dual, lends, sibling } from '../lease.ts'
import { fails } from '../stub.ts'
import type { World } from '../world.ts'
import { alias } from './target.ts'

const since = '0.4.0'

/** An attachment without routes, which would go with whatever is broken and be noticed instead of it. */
const addedBare = (world: World): void => {
  lends(world, { ips: [address4] })
  world.add()
  linkIn(world.pod)
}

const mac = '02:AA:BB:CC:DD:EE'

export const cases: readonly Case[] = [
  {
    id: 'G01', level: 'MUST', applies: ['ALL'], title: 'immediately after ADD', since,
    run(world) {
      world.add()
      succeeds(world.call('CHECK'))
      const { profile, features } = world.subject
      if (!profile.delegates || !features.ipv6) return
      world.del()
      lends(world, dual)
      world.add()
      succeeds(world.call('CHECK'))
    },
  },
  {
    id: 'G02', level: 'SHOULD', applies: ['interface', 'chained'], title: 'prevResult missing', since,
    run(world) {
      world.add()
      refuses(world.call('CHECK', { config: { prevResult: undefined } }), [7, 'own'])
    },
  },
  {
    id: 'G03', level: 'SHOULD', applies: ['delegating'], title: 'address removed', since,
    run(world) {
      addedBare(world)
      mustNotice(world, () => world.pod.netns.ip('address', 'del', '10.77.0.2/24', 'dev', 'eth0'))
    },
  },
  {
    id: 'G04', level: 'SHOULD', applies: ['interface'], title: 'link removed', since,
    run(world) {
      addedBare(world)
      mustNotice(world, () => world.pod.netns.ip('link', 'del', 'eth0'))
    },
  },
  {
    id: 'G05', level: 'SHOULD', applies: ['interface'], title: 'link set down', since,
    run(world) {
      addedBare(world)
      mustNotice(world, () => world.pod.netns.ip('link', 'set', 'eth0', 'down'))
    },
  },
  {
    id: 'G06', level: 'SHOULD', applies: ['delegating'], title: 'route removed', since,
    run(world) {
      lends(world, { ips: [address4], routes: [{ dst: '0.0.0.0/0' }, { dst: '10.99.0.0/16', gw: '10.77.0.1' }] })
      world.add()
      linkIn(world.pod)
      mustNotice(world, () => world.pod.netns.ip('route', 'del', '10.99.0.0/16'))
      world.pod.netns.ip('route', 'add', '10.99.0.0/16', 'via', '10.77.0.1')
      mustNotice(world, () => world.pod.netns.ip('route', 'del', 'default'))
    },
  },
  {
    id: 'G07', level: 'SHOULD', applies: ['interface'], title: 'mac differs', since,
    run(world) {
      if (world.plugin === 'ipvlan') throw new Skip('an ipvlan has the MAC address of its master')
      addedBare(world)
      mustNotice(world, () => world.pod.netns.ip('link', 'set', 'eth0', 'address', '02:aa:bb:cc:dd:ee'))
    },
  },
  {
    id: 'G08', level: 'SHOULD', applies: ['delegating'], title: 'reservation removed', since,
    run(world) {
      sibling(world, 'host-local')
      const attempt = { config: { ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/24' }]] } } }
      world.add(attempt)
      const reservations = globSync(`/var/lib/cni/networks/${world.network}/10.88.0.*`)
      mustEqual(reservations.length, 1, 'the number of reservations')
      mustNotice(world, () => reservations.forEach(path => rmSync(path)), attempt)
    },
  },
  {
    id: 'G10', level: 'MUST', applies: ['delegating'], title: 'extra routes/addresses present', since,
    run(world) {
      const ips = world.subject.features.ipv6 ? [address4, address6] : [address4]
      lends(world, { ips, routes: [{ dst: '0.0.0.0/0', gw: '10.77.0.1' }] })
      world.add()
      linkIn(world.pod)
      world.pod.netns.ip('address', 'add', '192.0.2.9/24', 'dev', 'eth0')
      world.pod.netns.ip('route', 'add', '198.51.100.0/24', 'via', '192.0.2.1')
      world.pod.netns.ip('route', 'add', 'default', 'via', '192.0.2.1', 'metric', '500')
      if (world.subject.features.ipv6) world.pod.netns.ip('address', 'add', 'fd00:aa::9/64', 'dev', 'eth0', 'nodad')
      world.pod.netns.ip('link', 'add', 'extra0', 'type', 'veth', 'peer', 'name', 'extra1')
      succeeds(world.call('CHECK'))
    },
  },
  {
    id: 'G11', level: 'SHOULD', applies: ['interface'], title: 'sandbox mismatch', since,
    run(world) {
      addedBare(world)
      const path = alias(world, 'same')
      mustNotice(world, () => {}, {}, { env: { CNI_NETNS: path } })
    },
  },
  {
    id: 'G12', level: 'SHOULD', applies: ['bridge', 'macvlan', 'ipvlan', 'vlan', 'ptp', 'tap'], title: 'L2 only', since,
    run(world) {
      const attempt = { config: { ipam: undefined } }
      mustEqual(world.add(attempt).ips ?? [], [], 'the list of ips')
      succeeds(world.call('CHECK', attempt))
    },
  },
  {
    id: 'G13', level: 'MUST', applies: ['delegating'], title: 'delegate error code kept', since,
    run(world) {
      const { version } = world.subject
      const error = { cniVersion: version, code: 11, msg: 'the ledger is locked' }
      lends(world, { ips: [address4] }, { CHECK: fails(error) })
      world.add()
      refuses(world.call('CHECK'), [11], 'the ledger is locked')
    },
  },
  {
    id: 'G14', level: 'MUST', applies: ['ALL'], title: 'read-only', since,
    run(world) {
      world.add()
      world.unchanged(() => {
        for (let time = 0; time < 2; time++) succeeds(world.call('CHECK'))
      })
    },
  },
  {
    id: 'G20', level: 'MUST', applies: ['interface'], title: 'netns missing', since,
    async run(world) {
      world.add()
      const attempt = { env: { CNI_NETNS: '/run/netns/missing' } }
      refuses(world.call('CHECK', attempt), [3, 8, 'own'])
      await world.kill()
      errorOf(world.call('CHECK'))
    },
  },
  {
    id: 'G23', level: 'QUAL', applies: ['interface', 'tuning'], title: 'MAC case differs', since,
    run(world) {
      if (world.plugin === 'ipvlan') throw new Skip('an ipvlan has the MAC address of its master')
      const config = world.plugin === 'tuning' ? { mac } : { capabilities: { mac: true }, runtimeConfig: { mac } }
      world.add({ config })
      const { address } = linkIn(world.pod)
      if (address !== mac.toLowerCase()) throw new Skip(`${world.plugin} sets no MAC address`)
      succeeds(world.call('CHECK', { config }))
      mustEqual(linkIn(world.pod).address, address, 'MAC address after CHECK')
    },
  },
]
