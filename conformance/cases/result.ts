// Area C: the result in the shape of each version (SPEC.md, section 5, of the versions 0.2.0 to 1.1.0).

import { Skip, type Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import type { Result, Route } from '../result.ts'
import { mustHaveShape } from '../shape.ts'
import { answers, prints } from '../stub.ts'
import type { World } from '../world.ts'

const addressed = ['interface', 'loopback', 'ipam']

const dual: Result = {
  ips: [{ address: '10.77.0.9/24', gateway: '10.77.0.1' }, { address: 'fd00:77::9/64', gateway: 'fd00:77::1' }],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '10.99.0.0/16', gw: '10.77.0.1' }, { dst: '::/0' }],
}

const extended = { dst: '10.99.0.0/16', mtu: 1400, advmss: 1360, priority: 50, table: 100, scope: 0 }
const zero = { dst: '10.99.0.0/16', table: 0, scope: 0 }

/** Has the plugin's IPAM, or the plugin itself, hand out a route. Returns the change to the configuration. */
const withRoute = (world: World, route: Route): JsonObject => {
  const { kind, config } = world.subject.profile
  if (kind === 'ipam') return { ipam: { ...(config['ipam'] as JsonObject), routes: [route] } }
  const ips = [{ address: '10.77.0.9/24', gateway: '10.77.0.1' }]
  world.stub('stub-ipam', { ADD: prints(JSON.stringify({ cniVersion: '1.1.0', ips, routes: [route] })) })
  return {}
}

/** ADD in each of the versions that the plugin advertises; each result has the shape of its version and an address. */
const shaped = (world: World, versions: readonly string[]): void => {
  const wanted = versions.filter(version => world.subject.supported.includes(version))
  if (wanted.length === 0) throw new Skip(`${world.plugin} advertises none of ${versions.join(', ')}`)
  for (const version of wanted) {
    const attempt = { version, pod: world.addPod() }
    const result = world.add(attempt)
    mustHaveShape(result, version)
    must(result.ips?.length ?? result.ip4 ?? result.ip6, `the ${version} result has no address`)
    world.del(attempt)
  }
}

const routeOf = (world: World, route: Route): JsonObject => {
  const result = world.add({ config: withRoute(world, route) })
  const found = result.routes?.find(({ dst }) => dst === route.dst)
  must(found, `the result has no route to ${route.dst}: ${JSON.stringify(result.routes)}`)
  return found as unknown as JsonObject
}

export const cases: readonly Case[] = [
  {
    id: 'C06', level: 'MUST', applies: addressed, title: '0.2.0 shape',
    run: world => shaped(world, ['0.1.0', '0.2.0']),
  },
  {
    id: 'C07', level: 'MUST', applies: ['delegating', 'ipam'], title: '0.2.0 routes by family',
    needs: ['attach', 'ipv6'],
    run(world) {
      if (!world.subject.supported.includes('0.2.0')) throw new Skip(`${world.plugin} does not advertise 0.2.0`)
      const { kind, dual: config } = world.subject.profile
      if (kind === 'ipam' && !config) throw new Skip('the profile has no configuration with two families')
      world.stub('stub-ipam', { ADD: answers(dual) })
      const result = world.add({ version: '0.2.0', config: config ?? {} })
      mustHaveShape(result, '0.2.0')
      const destinations = [result.ip4, result.ip6].map(ip => ip?.routes?.map(({ dst }) => dst).sort() ?? [])
      mustEqual(destinations, [['0.0.0.0/0', '10.99.0.0/16'], ['::/0']], 'the list of destinations of ip4 and ip6')
    },
  },
  {
    id: 'C08', level: 'SHOULD', applies: ['ipam'], title: '0.2.0 second address of a family', needs: ['attach'],
    run(world) {
      const { twoAddresses } = world.subject.profile
      if (!twoAddresses) throw new Skip('the profile has no configuration with two addresses')
      const before = world.snapshot()
      const reply = world.call('ADD', { version: '0.2.0', config: twoAddresses })
      if (reply.status === 0) return mustHaveShape(resultOf(reply), '0.2.0')
      refuses(reply, [2, 7, 'own'])
      world.mustBeClean(before)
    },
  },
  {
    id: 'C09', level: 'QUAL', applies: ['delegating'], title: '0.2.0 without IP', needs: ['attach'],
    run(world) {
      if (!world.subject.supported.includes('0.2.0')) throw new Skip(`${world.plugin} does not advertise 0.2.0`)
      world.unchanged(() =>
        refuses(world.call('ADD', { version: '0.2.0', config: { ipam: undefined } }), [1, 2, 7, 'own']))
    },
  },
  {
    id: 'C10', level: 'MUST', applies: addressed, title: '0.3.x/0.4.0 ips.version',
    run: world => shaped(world, ['0.3.0', '0.3.1', '0.4.0']),
  },
  {
    id: 'C11', level: 'MUST', applies: addressed, title: '1.0.0 has no ips.version',
    run: world => shaped(world, ['1.0.0', '1.1.0']),
  },
  {
    id: 'C12', level: 'QUAL', applies: ['ALL'], title: 'no 1.1 fields below 1.1.0', since: '1.1.0',
    run(world) {
      mustHaveShape(world.add({ version: '1.0.0', config: withRoute(world, extended) }), '1.0.0')
    },
  },
  {
    id: 'C13', level: 'MUST', applies: ['ipam', 'delegating'], title: '1.1.0 route fields survive', since: '1.1.0',
    run(world) {
      const route = routeOf(world, extended)
      for (const [key, value] of Object.entries(extended)) mustEqual(route[key], value, `${key} of the route`)
    },
  },
  {
    id: 'C14', level: 'MUST', applies: ['ipam', 'delegating'], title: 'zero table/scope kept', since: '1.1.0',
    run(world) {
      const route = routeOf(world, zero)
      for (const key of ['table', 'scope']) mustEqual(route[key], 0, `${key} of the route`)
    },
  },
  {
    id: 'C15', level: 'SHOULD', applies: ['interface'], title: 'interface mtu reported', since: '1.1.0',
    run(world) {
      const result = world.add({ config: { mtu: 1400 } })
      const entry = result.interfaces?.find(({ name, sandbox }) => name === 'eth0' && sandbox)
      mustEqual(entry?.mtu, world.pod.netns.link('eth0')?.mtu, 'mtu of the interface')
    },
  },
  {
    id: 'C16', level: 'SHOULD', applies: ['delegating'], title: '1.1.0 route fields applied', since: '1.1.0',
    run(world) {
      world.add({ config: withRoute(world, extended) })
      const route = world.pod.netns.routes().find(({ dst }) => dst === extended.dst)
      must(route, `the kernel has no route to ${extended.dst}`)
      mustEqual([route.table, route.metric], ['100', 50], 'table and priority of the kernel route')
      mustEqual(route.metrics?.[0], { mtu: 1400, advmss: 1360 }, 'the list of metrics of the kernel route')
      must([undefined, 'global'].includes(route.scope), `scope of the kernel route is ${route.scope}, expected global`)
    },
  },
]
