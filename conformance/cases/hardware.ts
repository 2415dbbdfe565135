// Area E: MAC address and MTU (CONVENTIONS.md, "mac"; cni.dev, "Main plugins").

import { Skip, type Case } from '../case.ts'
import { entryOf, hostEnd, linkIn } from '../container.ts'
import { mustEqual, refuses } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import type { Attempt, World } from '../world.ts'

/** MAC addresses by the place where each is asked for. */
const wanted = { runtime: '02:11:22:33:44:01', args: '02:11:22:33:44:02', variable: '02:11:22:33:44:03' }

type Place = keyof typeof wanted

const asking = (...places: readonly Place[]): Attempt => {
  const config: JsonObject = {
    capabilities: { mac: true },
    ...(places.includes('runtime') && { runtimeConfig: { mac: wanted.runtime } }),
    ...(places.includes('args') && { args: { cni: { mac: wanted.args } } }),
  }
  return { config, env: { CNI_ARGS: places.includes('variable') ? `IgnoreUnknown=1;MAC=${wanted.variable}` : '' } }
}

/** ADD with a MAC address from some places; one of them has to win, in the result and in the kernel. */
const wins = (world: World, winner: Place, ...places: readonly Place[]): void => {
  if (world.plugin === 'ipvlan') throw new Skip('an ipvlan has the MAC address of its master')
  const attempt = asking(...places)
  const result = world.add(attempt)
  mustEqual(linkIn(world.pod).address, wanted[winner], `mac of eth0 asked for by ${places.join(', ')}`)
  mustEqual(result.interfaces?.[entryOf(result, world.pod)]?.mac, wanted[winner], 'mac in the result')
  world.del(attempt)
}

export const cases: readonly Case[] = [
  {
    id: 'E21', level: 'CONV', applies: ['interface'], title: 'runtimeConfig.mac',
    run(world) {
      wins(world, 'runtime', 'runtime')
    },
  },
  {
    id: 'E22', level: 'CONV', applies: ['interface'], title: 'mac precedence',
    run(world) {
      wins(world, 'variable', 'variable')
      wins(world, 'args', 'args', 'variable')
      wins(world, 'runtime', 'runtime', 'args', 'variable')
    },
  },
  {
    id: 'E23', level: 'SHOULD', applies: ['interface'], title: 'invalid mac', needs: ['attach'],
    run(world) {
      const before = world.snapshot()
      for (const mac of ['zz', '02:11:22:33:44', '02:11:22:33:44:zz'])
        refuses(world.call('ADD', { config: { capabilities: { mac: true }, runtimeConfig: { mac } } }), [7, 'own'])
      world.mustBeClean(before)
    },
  },
  {
    id: 'E24', level: 'SHOULD', applies: ['interface'], title: 'mtu honoured',
    run(world) {
      world.add({ config: { mtu: 1400 } })
      mustEqual(linkIn(world.pod).mtu, 1400, 'mtu of eth0')
      const end = hostEnd(world)
      if (end) mustEqual(end.mtu, 1400, `mtu of ${end.ifname}`)
    },
  },
]
