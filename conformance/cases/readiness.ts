// Area H: STATUS (SPEC.md 1.1.0, section 2, "STATUS").

import { apart } from '../apart.ts'
import { Skip, type Case } from '../case.ts'
import { mustForward } from '../delegation.ts'
import { must, refuses, succeeds, succeedsSilently } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import { isQuick } from '../pace.ts'
import { fill, lessors, pool } from '../pool.ts'
import { fails } from '../stub.ts'
import type { World } from '../world.ts'

const since = '1.1.0'

/** Keys that name a link of the host which has to be there, with one that is not. */
const missingLink: Readonly<Record<string, JsonObject>> = {
  macvlan: { master: 'missing0' },
  ipvlan: { master: 'missing0' },
  vlan: { master: 'missing0' },
  'host-device': { device: 'missing0' },
}

/** Invalid configurations of the profile that STATUS is given as ADD is; it never gets runtimeConfig. */
const invalidFor = (world: World): [string, JsonObject][] =>
  Object.entries(world.subject.profile.invalid ?? {}).filter(([, change]) => !('runtimeConfig' in change))

export const cases: readonly Case[] = [
  {
    id: 'H01', level: 'MUST', applies: ['ALL'], title: 'ready', since, needs: ['attach'],
    run(world) {
      succeedsSilently(world.call('STATUS'))
    },
  },
  {
    id: 'H02', level: 'MUST', applies: ['delegating'], title: 'delegate asked', since, needs: ['attach'],
    run(world) {
      succeeds(world.call('STATUS'))
      mustForward(world, world.ipam, 'STATUS')
    },
  },
  {
    id: 'H03', level: 'MUST', applies: ['delegating'], title: 'delegate 50/51', since, needs: ['attach'],
    run(world) {
      for (const code of [50, 51]) {
        world.stub('stub-ipam', { STATUS: fails({ code, msg: 'out of leases' }) })
        refuses(world.call('STATUS'), [code], 'out of leases')
      }
    },
  },
  {
    id: 'H04', level: 'MUST', applies: ['delegating'], title: 'delegate missing', since, needs: ['profile'],
    run(world) {
      refuses(world.call('STATUS', { config: { ipam: { type: 'missing-plugin' } } }), [50, 'own'])
    },
  },
  {
    id: 'H05', level: 'MUST', applies: lessors, title: 'pool exhausted', since,
    run(world) {
      const config = pool('10.88.0.0/30', {}, world.plugin)
      succeeds(world.call('STATUS', { config }))
      const [first = ''] = fill(world, config)
      refuses(world.call('STATUS', { config }), [50])
      world.del({ config, env: { CNI_CONTAINERID: first } })
      succeeds(world.call('STATUS', { config }))
    },
  },
  {
    id: 'H06', level: 'MUST', applies: ['dhcp'], title: 'daemon down', since,
    run(world) {
      refuses(world.call('STATUS'), [50])
    },
  },
  {
    id: 'H07', level: 'SHOULD', applies: Object.keys(missingLink), title: 'master/device missing', since,
    needs: ['attach'],
    run(world) {
      refuses(world.call('STATUS', { config: missingLink[world.plugin] ?? {} }), [50])
    },
  },
  {
    id: 'H08', level: 'MUST', applies: ['ALL'], title: 'no side effects', since, needs: ['attach'],
    run(world) {
      world.unchanged(() => succeeds(world.call('STATUS')))
    },
  },
  {
    id: 'H09', level: 'MUST', applies: ['ALL'], title: 'not a precondition', since,
    run(world) {
      const { delegates } = world.subject.profile
      if (delegates) {
        const before = world.snapshot()
        world.stub('stub-ipam', {
          STATUS: fails({ code: 50, msg: 'not yet' }),
          ADD: `printf %s '{"cniVersion":"1.0.0","ips":[{"address":"10.77.0.9/24","gateway":"10.77.0.1"}]}'`,
        })
        refuses(world.call('STATUS'), [50])
        world.add()
        world.del()
        world.mustBeClean(before)
      } else if (lessors.includes(world.plugin)) {
        const config = pool('10.88.0.0/30', {}, world.plugin)
        const [first = ''] = fill(world, config)
        refuses(world.call('STATUS', { config }), [50])
        world.del({ config, env: { CNI_CONTAINERID: first } })
        world.add({ config })
      } else {
        throw new Skip(`nothing is known that makes STATUS of ${world.plugin} fail`)
      }
    },
  },
  {
    id: 'H10', level: 'MUST', applies: ['chained'], title: 'no prevResult needed', since, needs: ['attach'],
    run(world) {
      const { prevResult } = world.config('STATUS')
      must(prevResult === undefined, 'the case sends a prevResult')
      succeeds(world.call('STATUS'))
    },
  },
  {
    id: 'H11', level: 'SHOULD', applies: ['ALL'], title: 'invalid config', since, needs: ['attach'],
    run(world) {
      const invalid = invalidFor(world)
      if (invalid.length === 0) throw new Skip('the profile has no invalid configuration')
      world.unchanged(() => {
        for (const [title, config] of invalid) {
          const reply = world.call('STATUS', { config })
          must(reply.status !== 0, `STATUS with ${title} succeeded`)
          refuses(reply, [2, 6, 7, 'own'])
        }
      })
    },
  },
  {
    id: 'H12', level: 'QUAL', applies: ['ALL'], title: 'cheap', since, needs: ['attach'],
    run(world) {
      // A host without a part in a pool starts an agent to see whether it can get one.
      if (world.plugin === 'cluster') world.add()
      isQuick(world, 'STATUS', 150)
    },
  },
  {
    id: 'H13', level: 'MUST', applies: ['ALL'], title: 'parallel with ADD', since, needs: ['attach'],
    async run(world) {
      const attempts = apart(world, Array.from({ length: 20 }, () => ({ pod: world.addPod() })))
      const adds = attempts.map(attempt => world.start('ADD', attempt).reply)
      const asks = Array.from({ length: 5 }, () => world.start('STATUS').reply)
      const [added, asked] = await Promise.all([Promise.all(adds), Promise.all(asks)])
      for (const reply of [...added, ...asked]) succeeds(reply)
      const slowest = Math.max(...added.map(({ milliseconds }) => milliseconds))
      // What STATUS takes beyond the ADDs around it is time spent waiting for a lock.
      for (const { milliseconds: took } of asked)
        must(took <= slowest + 2000, `STATUS took ${Math.round(took)} ms, the slowest ADD ${Math.round(slowest)}`)
    },
  },
]
