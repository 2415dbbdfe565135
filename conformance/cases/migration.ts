// Area M: state that another implementation, or the time before a reboot, has left on the node.

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Skip, type Case } from '../case.ts'
import { Chain, mustBeConnected } from '../chain.ts'
import { Failure, mustEqual, succeeds } from '../expect.ts'
import { Runtime, type Attachment, type NetworkList } from '../libcni.ts'
import { pool, records } from '../pool.ts'
import { profileOf } from '../profile.ts'
import { addressesOf } from '../result.ts'
import { subjectOf } from '../subject.ts'
import type { World } from '../world.ts'

const ports = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }

/** The plugin's directory and the one of --with, and the newest version that plugins of both advertise. */
const suites = (world: World, plugins: readonly string[]) => {
  const { bin, features, extras } = world.subject
  const { other } = extras
  if (!other) throw new Skip('no other suite is given with --with')
  for (const plugin of plugins)
    for (const directory of [bin, other])
      if (!existsSync(join(directory, plugin))) throw new Skip(`there is no ${plugin} in ${directory}`)
  const lists = [bin, other].flatMap(directory => plugins.map(plugin =>
    subjectOf(directory, plugin, profileOf(plugin), features, extras).supported))
  const version = lists[0]?.filter(one => lists.every(list => list.includes(one))).at(-1)
  if (!version) throw new Skip('the suites have no spec version in common')
  return { directions: [[other, bin], [bin, other]] as const, version }
}

/** What no other suite knows of, so that it waits for the next DEL of its own: an index of a store, a guard. */
const unknown = ['^(directory|file) /run/fairlead\\b', '^host nft .*fairlead_published']

/** Whether a suite can check a network that is all its own: some cannot (portmap 1.1.1, for one family). */
const checksItself = (runtime: Runtime, list: NetworkList, attachment: Attachment): boolean => {
  runtime.add(list, attachment)
  try {
    runtime.check(list, attachment)
    return true
  } catch (error) {
    if (error instanceof Failure) return false
    throw error
  } finally {
    runtime.del(list, attachment)
  }
}

/** The kernel after a reboot: no links, no rules, nothing below /run; /var is what it was. */
const reboot = async (world: World): Promise<void> => {
  for (const { ifname, linkinfo } of world.host.links())
    if (linkinfo?.info_kind === 'bridge') world.host.ip('link', 'del', ifname)
  world.host.exec('sh', '-c', 'nft flush ruleset; iptables -t nat -F; iptables -t nat -X; true')
  for (const name of readdirSync('/run'))
    if (!['netns', 'conformance', 'lock'].includes(name)) rmSync(join('/run', name), { recursive: true })
}

export const cases: readonly Case[] = [
  {
    id: 'M09', level: 'QUAL', applies: ['host-local', 'bridge', 'portmap'], title: 'mixed implementations',
    needs: ['attach'],
    run(world) {
      if (world.plugin === 'host-local') {
        const { directions, version } = suites(world, ['host-local'])
        const before = world.snapshot()
        for (const [first, second] of directions) {
          const [maker, taker] = [first, second].map(bin => ({ executable: join(bin, 'host-local'), version }))
          world.add(maker)
          succeeds(world.call('CHECK', taker))
          world.del(taker)
          world.mustBeClean(before, [...world.subject.profile.remains ?? [], ...unknown])
          world.del(maker)
          world.mustBeClean(before)
        }
        return
      }
      const more = world.plugin === 'portmap' ? ['portmap'] : []
      const { directions, version } = suites(world, ['bridge', 'host-local', ...more])
      const chain = new Chain(world, more)
      // A suite of before 1.6 finds its rules in iptables only.
      const backend = world.plugin === 'portmap' ? { backend: 'iptables' } : {}
      const list = chain.list(version, { ipMasqBackend: 'iptables', ...backend })
      const runtime = new Runtime(world)
      for (const [first, second] of directions) {
        // The container of a chained plugin has an eth0.
        const attachment = { pod: world.addPod(), ifname: 'net1', capabilities: ports }
        runtime.bin = second
        const checks = checksItself(runtime, list, attachment)
        const before = world.snapshot()
        runtime.bin = first
        mustBeConnected(runtime.add(list, attachment), attachment)
        runtime.bin = second
        if (checks) runtime.check(list, attachment)
        runtime.del(list, attachment)
        world.mustBeClean(before, [...chain.remains, ...unknown])
        runtime.bin = first
        runtime.del(list, attachment)
        world.mustBeClean(before, chain.remains)
      }
    },
  },
  {
    id: 'M14', level: 'QUAL', applies: ['bridge'], title: 'reboot emulation', since: '1.1.0', needs: ['attach'],
    async run(world) {
      new Chain(world, [])
      const config = { ...pool('10.88.0.0/29'), isGateway: true, ipMasq: true }
      const pods = Array.from({ length: 5 }, () => world.addPod())
      for (const pod of pods) world.add({ pod, config })
      for (const pod of pods) await world.kill(pod)
      await reboot(world)
      mustEqual(Object.keys(records(world.network)).length, pods.length, 'the number of reservations from before')
      succeeds(world.call('GC', { config: { ...config, 'cni.dev/attachments': [], 'cni.dev/valid-attachments': [] } }))
      mustEqual(Object.keys(records(world.network)), [], 'the list of reservations after GC')
      const added = addressesOf(world.add({ config }))
      mustEqual(Object.keys(records(world.network)), added, 'the list of reservations after ADD')
    },
  },
]
