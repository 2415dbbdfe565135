// Area B: keys of the configuration that are unknown, oddly written, absent or wrong (SPEC.md, section 1).

import { Skip, type Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import type { Result } from '../result.ts'
import { Stub } from '../stub.ts'
import type { World } from '../world.ts'

/** What containerd sends: members of Go structs without JSON tags, hence capitals. */
interface CapitalKeys {
  readonly config: JsonObject
  honoured(world: World, result: Result): boolean
}

const capital: Readonly<Record<string, CapitalKeys>> = {
  portmap: {
    config: {
      runtimeConfig: { portMappings: [{ HostPort: 8099, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }] },
    },
    honoured: world => world.host.firewall().includes('8099'),
  },
  bandwidth: {
    config: {
      ingressRate: undefined, ingressBurst: undefined, egressRate: undefined, egressBurst: undefined,
      runtimeConfig: { bandwidth: { IngressRate: 8_000_000, IngressBurst: 80_000, EgressRate: 0, EgressBurst: 0 } },
    },
    honoured: world => world.host.qdiscs().some(({ kind, dev }) => kind === 'tbf' && dev === 'host1'),
  },
  'host-local': {
    config: {
      ipam: { type: 'host-local' },
      runtimeConfig: { ipRanges: [[{ Subnet: '10.88.7.0/24', RangeStart: '', RangeEnd: '', Gateway: '' }]] },
    },
    honoured: (_, result) => result.ips?.[0]?.address.startsWith('10.88.7.') === true,
  },
  static: {
    config: { runtimeConfig: { IPs: ['10.88.7.9/24'] } },
    honoured: (_, result) => result.ips?.[0]?.address === '10.88.7.9/24',
  },
  tuning: {
    config: { runtimeConfig: { MAC: '02:00:00:00:09:09' } },
    honoured: world => world.pod.netns.link('eth0')?.address === '02:00:00:00:09:09',
  },
}

/** A configuration with these keys is as good as one without them. */
const harmless = (id: string, level: Case['level'], title: string, config: JsonObject): Case => ({
  id, level, applies: ['ALL'], title,
  run(world) {
    world.add({ config })
  },
})

export const cases: readonly Case[] = [
  {
    id: 'B14', level: 'MUST', applies: ['ALL'], title: 'unknown keys', needs: ['attach'],
    run(world) {
      const reply = world.call('ADD', { config: { foo: { bar: 'baz' } } })
      if (reply.status === 0) resultOf(reply)
      else refuses(reply, [2], 'foo', 'baz')
    },
  },
  harmless('B15', 'DEF', 'capabilities left in request', { capabilities: { portMappings: true, x: true } }),
  harmless('B16', 'MUST', 'args ignored if unknown', { args: { cni: { labels: [{ key: 'a', value: 'b' }] }, x: 1 } }),
  harmless('B17', 'MUST', 'reserved cni.dev keys ignored', { 'cni.dev/foo': 1 }),
  {
    id: 'B18', level: 'DEF', applies: ['ALL'], title: 'case-insensitive top-level keys',
    run(world) {
      const { version } = world.subject
      const { network } = world
      const config = { cniVersion: undefined, CNIVERSION: version, name: undefined, NAME: network }
      const result = world.add({ config })
      mustEqual(result.cniVersion, version, 'cniVersion')
    },
  },
  {
    id: 'B19', level: 'DEF', applies: Object.keys(capital), title: 'case-insensitive runtimeConfig members',
    run(world) {
      const given = capital[world.plugin]
      if (!given) throw new Skip(`${world.plugin} takes no runtimeConfig`)
      const result = world.add({ config: given.config })
      must(given.honoured(world, result), `${JSON.stringify(given.config['runtimeConfig'])} had no effect`)
    },
  },
  {
    id: 'B20', level: 'SHOULD', applies: ['ALL'], title: 'wrong type of a known key', needs: ['attach'],
    run(world) {
      const { wrongType } = world.subject.profile
      if (!wrongType) throw new Skip(`${world.plugin} has no keys of its own`)
      world.unchanged(() => refuses(world.call('ADD', { config: wrongType }), [2, 6, 7, 'own']))
    },
  },
  {
    id: 'B21', level: 'DEF', applies: ['ALL'], title: 'null optional keys',
    run(world) {
      const empty = { dns: null, args: null, runtimeConfig: null }
      world.add({ config: world.subject.profile.kind === 'chained' ? empty : { ...empty, prevResult: null } })
    },
  },
  {
    id: 'B22', level: 'SHOULD', applies: ['interface', 'chained', 'ipam'], title: 'semantic range errors',
    needs: ['attach'],
    run(world) {
      const { invalid } = world.subject.profile
      if (!invalid) throw new Skip('the profile has no invalid configuration')
      world.unchanged(() => {
        for (const [title, config] of Object.entries(invalid)) {
          const reply = world.call('ADD', { config })
          must(reply.status !== 0, `ADD with ${title} succeeded`)
          refuses(reply, [2, 6, 7, 'own'])
        }
      })
    },
  },
  {
    id: 'B24', level: 'SHOULD', applies: ['delegating'], title: 'ipam.type with separator', needs: ['attach'],
    run(world) {
      const outside = new Stub('/run/conformance', '/run/conformance/record/outside', 'outside', {})
      world.unchanged(() => refuses(world.call('ADD', { config: { ipam: { type: '../outside' } } }), [7, 'own']))
      mustEqual(outside.verbs(), [], 'the list of calls of the plugin outside CNI_PATH')
    },
  },
  {
    id: 'B25', level: 'DEF', applies: ['ALL'], title: 'Multus injected keys',
    run(world) {
      if (world.plugin === 'host-device') throw new Skip('host-device uses them')
      world.add({ config: { deviceID: '0000:00:04.5', pciBusID: '0000:00:04.5' } })
    },
  },
]
