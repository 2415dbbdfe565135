// Area M: many containers, killed plugins, and plugins that are replaced while they are in use.

import { copyFileSync, linkSync, lstatSync, mkdirSync, realpathSync, renameSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import type { Case } from '../case.ts'
import { must, mustEqual, resultOf, succeeds } from '../expect.ts'
import { sibling } from '../lease.ts'
import { isQuick } from '../pace.ts'
import { pool } from '../pool.ts'
import { profileOf } from '../profile.ts'
import { addressesOf } from '../result.ts'
import { processes } from '../snapshot.ts'
import { answers, leases, releases, sleeps } from '../stub.ts'
import { isAtLeast } from '../versions.ts'
import type { World } from '../world.ts'

/** What bridge and host-local may leave. */
const remains = (world: World): string[] =>
  [...(world.subject.profile.remains ?? []), ...(profileOf('host-local').remains ?? [])]

const network = { ...pool('10.88.0.0/23'), isGateway: true, ipMasq: true }

const orphansGone = async (): Promise<void> => {
  const until = performance.now() + 5000
  while (processes().some(({ name }) => name === 'stub-ipam') && performance.now() < until) await after(50)
}

/** A suite of its own to be replaced, with two copies of each executable behind it. */
const replaceable = (world: World, plugins: readonly string[]) => {
  const directory = '/run/conformance/suite'
  mkdirSync(directory)
  const files = new Set(plugins.map(plugin => realpathSync(sibling(world, plugin))))
  for (const file of files) for (const copy of ['a', 'b']) copyFileSync(file, `${directory}/.${copy}-${basename(file)}`)
  const install = (copy: string): void => {
    for (const file of files) {
      linkSync(`${directory}/.${copy}-${basename(file)}`, `${directory}/.new`)
      renameSync(`${directory}/.new`, join(directory, basename(file)))
    }
  }
  install('a')
  for (const plugin of plugins) {
    const path = join(world.subject.bin, plugin)
    if (lstatSync(path).isSymbolicLink()) symlinkSync(basename(realpathSync(path)), join(directory, plugin))
  }
  return { directory, install }
}

export const cases: readonly Case[] = [
  {
    id: 'M06', level: 'QUAL', applies: ['delegating'], title: 'timeout kill', needs: ['attach'],
    async run(world) {
      const before = world.snapshot()
      const lease = { ips: [{ address: '10.77.0.$n/24', gateway: '10.77.0.1' }] }
      const slow = world.stub('stub-ipam', {
        ADD: `${sleeps(0.5)}\n${leases(world.leases, '10.77.0.')}${answers(lease)}`, DEL: releases(world.leases),
      })
      const { child, reply } = world.start('ADD')
      const until = performance.now() + 5000
      while (!slow.verbs().includes('ADD') && performance.now() < until) await after(20)
      must(slow.verbs().includes('ADD'), 'IPAM has not been asked')
      child.kill('SIGKILL')
      await reply
      world.del()
      // IPAM does not know that nobody waits for its answer.
      await orphansGone()
      world.del()
      world.mustBeClean(before)
    },
  },
  {
    id: 'M07', level: 'MUST', applies: ['bridge'], title: 'load', needs: ['attach'],
    async run(world) {
      sibling(world, 'host-local')
      const pods = Array.from({ length: 50 }, () => world.addPod())
      const all = async (verb: string) => {
        const replies = await Promise.all(pods.map(pod => world.start(verb, { pod, config: network }).reply))
        for (const reply of replies) succeeds(reply)
        return replies
      }
      const before = world.snapshot()
      for (let round = 0; round < (world.subject.extras.long ? 5 : 1); round++) {
        const added = await all('ADD')
        const distinct = new Set(added.flatMap(reply => addressesOf(resultOf(reply))))
        mustEqual(distinct.size, pods.length, 'the number of different addresses')
        if (isAtLeast(world.subject.version, '0.4.0')) await all('CHECK')
        await all('DEL')
      }
      world.mustBeClean(before, remains(world))
    },
  },
  {
    id: 'M08', level: 'QUAL', applies: ['bridge'], title: 'soak', needs: ['attach'],
    run(world) {
      sibling(world, 'host-local')
      const cycle = (): void => {
        world.add({ config: network })
        world.del({ config: network })
      }
      cycle()
      const before = world.snapshot()
      for (let count = world.subject.extras.long ? 500 : 50; count > 0; count--) cycle()
      world.mustBeClean(before, profileOf('host-local').remains)
    },
  },
  {
    id: 'M10', level: 'QUAL', applies: ['ALL'], title: 'start-up budget',
    run(world) {
      isQuick(world, 'VERSION', 150)
    },
  },
  {
    id: 'M12', level: 'DEF', applies: ['delegating'], title: 'trace env forwarded',
    run(world) {
      const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
      world.add({ env: { TRACEPARENT } })
      mustEqual(world.ipam.calls()[0]?.env['TRACEPARENT'], TRACEPARENT, 'TRACEPARENT of the delegate')
    },
  },
  {
    id: 'M15', level: 'DEF', applies: ['bridge'], title: 'install by rename under load', needs: ['attach'],
    async run(world) {
      const { directory, install } = replaceable(world, ['bridge', 'host-local'])
      const attempt = { executable: join(directory, 'bridge'), config: network, env: { CNI_PATH: directory } }
      const pods = Array.from({ length: 8 }, () => world.addPod())
      const ends = pods.map(async pod => {
        for (let round = 0; round < 3; round++)
          for (const verb of ['ADD', 'DEL']) succeeds(await world.start(verb, { ...attempt, pod }).reply)
      })
      let copy = 'b'
      const replacing = setInterval(() => {
        install(copy)
        copy = copy === 'a' ? 'b' : 'a'
      }, 10)
      try {
        await Promise.all(ends)
      } finally {
        clearInterval(replacing)
      }
    },
  },
]
