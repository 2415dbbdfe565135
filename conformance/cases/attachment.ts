// Area E: what ADD reports is what the kernel has (SPEC.md, section 2, "ADD", and section 5, "ADD Success").

import { apart } from '../apart.ts'
import type { Case } from '../case.ts'
import { entryOf, hostEntries, linkIn } from '../container.ts'
import { must, mustEqual } from '../expect.ts'
import { address4, address6, dual, lends } from '../lease.ts'
import { isIpv6, type Ip, type Result } from '../result.ts'
import type { Attempt, World } from '../world.ts'

/** ADD with an address of each family where the kernel has both. */
const added = (world: World, attempt: Attempt = {}): Result => {
  if (world.subject.features.ipv6) lends(world, dual)
  return world.add(attempt)
}

export const cases: readonly Case[] = [
  {
    id: 'E01', level: 'MUST', applies: ['interface'], title: 'interface exists and is up',
    run(world) {
      world.add()
      must(linkIn(world.pod).flags.includes('UP'), 'eth0 is down')
    },
  },
  {
    id: 'E02', level: 'MUST', applies: ['interface'], title: 'container entry',
    run(world) {
      const result = world.add()
      const entry = result.interfaces?.[entryOf(result, world.pod)]
      mustEqual(entry?.mac, linkIn(world.pod).address, 'mac of eth0')
    },
  },
  {
    id: 'E03', level: 'MUST', applies: ['bridge', 'ptp'], title: 'host entries',
    run(world) {
      const { bridge } = world.subject.profile.config
      const result = world.add()
      const entries = hostEntries(result)
      mustEqual(entries.length, bridge ? 2 : 1, 'the number of host interfaces')
      must(!bridge || entries.some(({ name }) => name === bridge), `${bridge} is not among the interfaces`)
      for (const { name, mac } of entries) {
        const link = world.host.link(name)
        must(link, `the host has no ${name}`)
        mustEqual(mac, link.address, `mac of ${name}`)
      }
    },
  },
  {
    id: 'E04', level: 'DEF', applies: ['interface'], title: 'indices valid',
    run(world) {
      const result = added(world)
      const own = entryOf(result, world.pod)
      must(result.ips?.length, 'the result has no ips')
      for (const { address, interface: index } of result.ips)
        must(index === undefined || index === own, `interface of ${address} is ${index}, expected ${own}`)
    },
  },
  {
    id: 'E05', level: 'MUST', applies: ['interface'], title: 'addresses applied',
    run(world) {
      const { ips = [] } = added(world)
      must(ips.length > 0, 'the result has no ips')
      const reported = ips.map(({ address }) => address).sort()
      mustEqual(world.pod.netns.addresses('eth0').sort(), reported, 'the list of addresses of eth0')
    },
  },
  {
    id: 'E06', level: 'MUST', applies: ['delegating'], title: 'routes applied',
    run(world) {
      added(world)
      const routes = world.pod.netns.routes()
      const wanted = { '10.99.0.0/16': '10.77.0.1', 'fd00:99::/64': 'fd00:77::1' }
      const families = world.subject.features.ipv6 ? wanted : {}
      for (const [dst, gateway] of Object.entries({ default: '10.77.0.1', ...families })) {
        const found = routes.find(route => route.dst === dst && isIpv6(String(route.gateway)) === isIpv6(gateway))
        must(found, `there is no route to ${dst}: ${JSON.stringify(routes)}`)
        mustEqual([found.gateway, found.dev], [gateway, 'eth0'], `gateway and link of the route to ${dst}`)
      }
    },
  },
  {
    id: 'E07', level: 'SHOULD', applies: ['delegating'], title: 'gateway alone adds no default route',
    run(world) {
      lends(world, { ips: world.subject.features.ipv6 ? [address4, address6] : [address4] })
      world.add()
      const defaults = world.pod.netns.routes().filter(({ dst }) => dst === 'default')
      mustEqual(defaults, [], 'the list of default routes')
    },
  },
  {
    id: 'E10', level: 'MUST', applies: ['interface'], title: 'two attachments, one container',
    run(world) {
      const attempts = apart(world, ['eth0', 'eth1'].map(ifname => ({ env: { CNI_IFNAME: ifname } })))
      const results = attempts.map(attempt => {
        const result = world.add(attempt)
        entryOf(result, world.pod, attempt.env?.['CNI_IFNAME'])
        return result
      })
      const addresses = results.map(({ ips }) => ips?.[0]?.address)
      must(addresses[0] !== addresses[1], `both have ${addresses[0]}`)
      for (const [at, ifname] of ['eth0', 'eth1'].entries())
        mustEqual(world.pod.netns.addresses(ifname), [addresses[at]], `the list of addresses of ${ifname}`)
    },
  },
  {
    id: 'E19', level: 'MUST', applies: ['delegating'], title: 'IPv6 only, dual stack', needs: ['attach', 'ipv6'],
    run(world) {
      for (const ips of [[address6], [address4, address6]]) {
        lends(world, { ips, routes: [{ dst: '::/0' }] })
        const result = world.add()
        const families = (list: readonly Ip[] = []): string[] =>
          list.map(({ address }) => (isIpv6(address) ? 'IPv6' : 'IPv4'))
        mustEqual(families(result.ips), families(ips), 'the list of families of ips')
        mustEqual(world.pod.netns.addresses('eth0').length, ips.length, 'the number of addresses of eth0')
        world.del()
      }
    },
  },
  {
    id: 'E20', level: 'QUAL', applies: ['delegating'], title: 'IPv6 usable on return', needs: ['attach', 'ipv6'],
    run(world) {
      lends(world, { ips: [address6] })
      world.add()
      const found = linkIn(world.pod).addr_info.find(({ local }) => local.startsWith('fd00:77::'))
      must(found, 'eth0 has no IPv6 address')
      must(!found.tentative && !found.dadfailed, `the address is ${found.tentative ? 'tentative' : 'a duplicate'}`)
      const took = world.replies.at(-1)?.milliseconds ?? 0
      must(took <= 5000, `ADD took ${Math.round(took)} ms`)
    },
  },
]
