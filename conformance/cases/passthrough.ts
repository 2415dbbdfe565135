// Area K: what any chained plugin makes of the result of the plugins before it (SPEC.md, section 3; libcni's types).

import { entryOf } from '../container.ts'
import { Skip, type Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf } from '../expect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { resultIn, type Interface, type Ip, type Result, type Route } from '../result.ts'
import type { World } from '../world.ts'

/** The result that the world gives a chained plugin, in the version of the call. */
const given = (world: World, version = world.subject.version, pod = world.pod): Result =>
  resultIn(version, pod.prevResult ?? {}) as Result

/** Keys under which a plugin adds no interface and changes nothing that a result shows. */
const quiet: Readonly<Record<string, JsonObject>> = {
  bandwidth: { egressRate: undefined, egressBurst: undefined },
}

/** The same with the keys of every object in order, empty members left out: Go prints neither by itself. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (!isObject(value)) return value
  const entries = Object.keys(value).sort().map(key => [key, canonical(value[key])] as const)
  return Object.fromEntries(entries.filter(([, inner]) => !['{}', '[]'].includes(JSON.stringify(inner))))
}

const remoulded = (result: Result, change: {
  readonly interfaces?: (entry: Interface) => object
  readonly ips?: (ip: Ip) => object
  readonly routes?: (route: Route) => object
}): JsonObject => {
  const { interfaces = [], ips = [], routes = [] } = result
  return {
    ...result,
    interfaces: interfaces.map(change.interfaces ?? (entry => entry)),
    ips: ips.map(change.ips ?? (ip => ip)),
    routes: routes.map(change.routes ?? (route => route)),
  }
}

export const cases: readonly Case[] = [
  {
    id: 'K01', level: 'SHOULD', applies: ['chained'], title: 'no prevResult', needs: ['attach'],
    run(world) {
      // With nothing to do as well: some look at prevResult only then.
      const idle = Object.fromEntries(Object.keys(world.subject.profile.config).map(key => [key, undefined]))
      world.unchanged(() => {
        for (const change of [{}, idle])
          refuses(world.call('ADD', { config: { ...change, prevResult: undefined } }), [7, 'own'])
      })
    },
  },
  {
    id: 'K02', level: 'MUST', applies: ['chained'], title: 'equivalent passthrough',
    run(world) {
      const result = world.add({ config: quiet[world.plugin] ?? {} })
      mustEqual(canonical(result), canonical(given(world)), 'the result')
    },
  },
  {
    id: 'K03', level: 'QUAL', applies: ['chained'], title: 'unknown fields kept',
    run(world) {
      const prevResult = { ...remoulded(given(world), { interfaces: entry => ({ ...entry, x: { y: 1 } }) }), y: ['z'] }
      const result: JsonObject = { ...world.add({ config: { ...quiet[world.plugin], prevResult } }) }
      mustEqual(result['y'], ['z'], 'the unknown key y')
      const [first] = Array.isArray(result['interfaces']) ? result['interfaces'] : []
      mustEqual(isObject(first) && first['x'], { y: 1 }, 'the unknown key x of the first interface')
    },
  },
  {
    id: 'K04', level: 'MUST', applies: ['chained'], title: 'append only',
    run(world) {
      const { interfaces = [], ips = [] } = world.add()
      const before = given(world)
      const names = (list: readonly Interface[] = []) => list.map(({ name, sandbox }) => [name, sandbox])
      const wanted = names(before.interfaces)
      mustEqual(names(interfaces).slice(0, wanted.length), wanted, 'the interfaces of prevResult, in the result,')
      for (const { address, interface: index } of before.ips ?? [])
        mustEqual(ips.find(ip => ip.address === address)?.interface, index, `interface of ${address}`)
    },
  },
  {
    id: 'K05', level: 'MUST', applies: ['tuning'], title: 'change reflected',
    run(world) {
      const mac = '02:00:00:00:0a:0b'
      const result = world.add({ config: { mac } })
      mustEqual(result.interfaces?.[entryOf(result, world.pod)]?.mac, mac, 'mac of eth0 in the result')
      mustEqual(world.pod.netns.link('eth0')?.address, mac, 'the MAC address of eth0')
    },
  },
  {
    id: 'K06', level: 'DEF', applies: ['chained'], title: '`version:""` in prevResult', needs: ['attach'],
    run(world) {
      const version = '0.4.0'
      if (!world.subject.supported.includes(version)) throw new Skip(`${world.plugin} does not advertise ${version}`)
      const prevResult = remoulded(given(world, version), { ips: ip => ({ ...ip, version: '' }) })
      resultOf(world.call('ADD', { version, config: { prevResult } }))
    },
  },
  {
    id: 'K07', level: 'DEF', applies: ['chained'], title: 'empty gateway/gw strings',
    run(world) {
      const prevResult = remoulded(given(world), {
        ips: ip => ({ ...ip, gateway: '' }), routes: route => ({ ...route, gw: '' }),
      })
      world.add({ config: { prevResult } })
    },
  },
  {
    id: 'K08', level: 'DEF', applies: ['chained'], title: 'index −1 / out of range / missing', needs: ['attach'],
    run(world) {
      const changes = {
        '-1': { interface: -1 }, '7': { interface: 7 }, missing: { interface: undefined },
      }
      for (const [title, change] of Object.entries(changes)) {
        const pod = world.addPod()
        const { version } = world.subject
        const prevResult = remoulded(given(world, version, pod), { ips: ip => ({ ...ip, ...change }) })
        const attempt = { pod, config: { prevResult } }
        const before = world.snapshot()
        const reply = world.call('ADD', attempt)
        if (reply.status === 0) {
          const { ips } = resultOf(reply)
          must(ips?.length === pod.prevResult?.ips?.length, `addresses with the index ${title} are lost`)
          world.del(attempt)
        } else {
          refuses(reply, [6, 7, 'own'])
          world.mustBeClean(before)
        }
      }
    },
  },
  {
    id: 'K21', level: 'SHOULD', applies: ['chained'], title: 'repeated ADD after DEL',
    run(world) {
      world.add()
      world.del()
      // The plugin before this one has made a new link meanwhile.
      world.add({ pod: { ...world.addPod(), id: world.pod.id } })
    },
  },
  {
    id: 'K22', level: 'MUST', applies: ['chained'], title: 'only CNI_IFNAME touched', needs: ['attach'],
    run(world) {
      const { netns } = world.pod
      netns.ip('link', 'add', 'eth1', 'address', '02:00:00:00:05:01', 'type', 'veth', 'peer', 'name', 'eth2')
      netns.ip('address', 'add', '10.78.0.2/24', 'dev', 'eth1')
      netns.ip('link', 'set', 'eth1', 'up')
      const other = (): string[] => world.snapshot().filter(line => /^pod1 .*\beth[12]\b/.test(line))
      const before = other()
      must(before.length > 2, 'the second interface is not seen')
      world.add()
      mustEqual(other(), before, 'the state of eth1 after ADD')
      world.del()
      mustEqual(other(), before, 'the state of eth1 after DEL')
    },
  },
]
