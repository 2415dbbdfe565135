// Area F: DEL takes away what ADD has made, whatever the runtime still knows (SPEC.md, section 2, "DEL").

import { apart } from '../apart.ts'
import { Skip, type Case } from '../case.ts'
import { linkIn } from '../container.ts'
import { must, mustEqual, succeeds } from '../expect.ts'
import { lends, mustBeReleased } from '../lease.ts'
import { resultIn } from '../result.ts'
import { sabotages } from '../sabotage.ts'
import type { Attempt, World } from '../world.ts'

/** Other attachments than the first one of the first container, as far as the plugin can have them. */
const neighbours = (world: World): Attempt[] => {
  const { kind } = world.subject.profile
  const pod = world.addPod()
  if (kind === 'loopback' || kind === 'chained') return [{ pod }]
  const others = [{ pod }, { env: { CNI_IFNAME: 'eth1' } }]
  const ifname = kind === 'ipam' ? 'eth0' : 'eth2'
  return [...others, { config: { name: 'neighbour' }, env: { CNI_IFNAME: ifname } }]
}

export const cases: readonly Case[] = [
  {
    id: 'F01', level: 'MUST', applies: ['ALL'], title: 'complete removal',
    run(world) {
      const before = world.snapshot()
      world.add()
      world.del()
      world.mustBeClean(before)
    },
  },
  {
    id: 'F02', level: 'MUST', applies: ['ALL'], title: 'repeat',
    run(world) {
      const before = world.snapshot()
      world.add()
      for (let time = 0; time < 2; time++) world.del()
      world.mustBeClean(before)
    },
  },
  {
    id: 'F03', level: 'MUST', applies: ['ALL'], title: 'never added', needs: ['profile'],
    run(world) {
      const before = world.snapshot()
      world.del()
      world.mustBeClean(before)
    },
  },
  {
    id: 'F08', level: 'MUST', applies: ['ALL'], title: 'without prevResult',
    run(world) {
      const before = world.snapshot()
      world.add()
      world.del({ config: { prevResult: undefined } })
      world.mustBeClean(before)
    },
  },
  {
    id: 'F09', level: 'MUST', applies: ['ALL'], title: 'prevResult `{}` / null',
    run(world) {
      for (const prevResult of [{}, null]) {
        const pod = world.addPod()
        const before = world.snapshot()
        world.add({ pod })
        world.del({ pod, config: { prevResult } })
        world.mustBeClean(before)
      }
    },
  },
  {
    id: 'F14', level: 'MUST', applies: ['delegating'], title: 'IPAM called even if own part missing',
    run(world) {
      world.add()
      linkIn(world.pod)
      world.pod.netns.ip('link', 'del', 'eth0')
      world.del()
      mustBeReleased(world)
    },
  },
  {
    id: 'F15', level: 'MUST', applies: ['macvlan', 'ipvlan', 'vlan'], title: 'master gone',
    run(world) {
      world.add()
      world.host.ip('link', 'del', 'up0')
      world.del()
      mustBeReleased(world)
    },
  },
  {
    id: 'F16', level: 'MUST', applies: ['bridge'], title: 'bridge device gone',
    run(world) {
      const before = world.snapshot()
      world.add()
      must(world.host.link('br0'), 'there is no br0')
      world.host.ip('link', 'del', 'br0')
      world.del()
      world.mustBeClean(before)
      mustBeReleased(world)
    },
  },
  {
    id: 'F18', level: 'MUST', applies: ['ALL'], title: 'other attachments untouched', since: '0.4.0',
    run(world) {
      if (world.subject.profile.delegates) lends(world, { ips: [{ address: '10.77.0.$n/24', gateway: '10.77.0.1' }] })
      // With a gateway's address the MAC address of a bridge stays; what it does without one is the matter of G25.
      const shared = world.subject.profile.config['bridge'] ? { isGateway: true } : {}
      const [, ...beside] = apart(world, [{}, ...neighbours(world)])
      const others = beside.map(attempt => {
        const config = { ...shared, ...attempt.config }
        return { ...attempt, config, prevResult: world.add({ ...attempt, config }) }
      })
      world.add({ config: shared })
      const checks = (): void => {
        for (const { prevResult, ...attempt } of others)
          succeeds(world.call('CHECK', { ...attempt, config: { ...attempt.config, prevResult } }))
      }
      checks()
      world.del({ config: shared })
      checks()
    },
  },
  {
    id: 'F20', level: 'MUST', applies: ['ALL'], title: 'after failed ADD', needs: ['attach'],
    run(world) {
      const { delegates, invalid = {} } = world.subject.profile
      const before = world.snapshot()
      const failures = new Map<string, () => Attempt>([
        ...Object.entries(delegates ? sabotages : {}).map(([title, sabotage]) =>
          [title, () => ({ config: sabotage(world) })] as const),
        ...Object.entries(invalid).map(([title, config]) => [title, () => ({ config })] as const),
        ['the namespace is missing', () => ({ env: { CNI_NETNS: '/run/netns/missing' } })],
      ])
      for (const failure of failures.values()) {
        world.call('ADD', failure())
        if (delegates) lends(world, {})
        world.del({ config: { prevResult: undefined } })
        world.mustBeClean(before)
      }
    },
  },
  {
    id: 'F22', level: 'DEF', applies: ['ALL'], title: 'version changed between',
    run(world) {
      for (const version of ['0.4.0', '1.0.0'])
        if (!world.subject.supported.includes(version)) throw new Skip(`${world.plugin} does not advertise ${version}`)
      const before = world.snapshot()
      const result = world.add({ version: '0.4.0' })
      mustEqual(result.cniVersion, '0.4.0', 'cniVersion')
      const ips = result.ips?.map(({ version: family, ...ip }) => ip) ?? []
      world.del({ version: '1.0.0', config: { prevResult: resultIn('1.0.0', { ...result, ips }) } })
      world.mustBeClean(before)
    },
  },
]
