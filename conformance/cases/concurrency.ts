// Areas E and F: calls at the same time, and a runtime that kills what takes too long (SPEC.md, section 2, "Notes":
// plugins have to work concurrently for different containers).

import { setTimeout as after } from 'node:timers/promises'
import { apart } from '../apart.ts'
import type { Case } from '../case.ts'
import { linkIn } from '../container.ts'
import { must, mustEqual, resultOf, succeeds } from '../expect.ts'
import { sibling } from '../lease.ts'
import { processes } from '../snapshot.ts'
import type { World } from '../world.ts'

const crowd = 24

/** What a killed plugin had started runs on; nothing can be said before it has ended. */
const settled = async (): Promise<void> => {
  for (let waited = 0; processes().length > 0 && waited < 3000; waited += 20) await after(20)
}

/** Kills an ADD after so many milliseconds. */
const killed = async (world: World, delay: number): Promise<void> => {
  const { child, reply } = world.start('ADD')
  await after(delay)
  child.kill('SIGKILL')
  await reply
  await settled()
}

export const cases: readonly Case[] = [
  {
    id: 'E37', level: 'MUST', applies: ['interface'], title: 'parallel first use', needs: ['attach'],
    async run(world) {
      const { config } = world.subject.profile
      const pods = [world.pod, ...Array.from({ length: crowd - 1 }, () => world.addPod())]
      const attempts = apart(world, pods.map(pod => ({ pod })))
      const replies = await Promise.all(attempts.map(attempt => world.start('ADD', attempt).reply))
      const addresses = replies.map(reply => resultOf(reply).ips?.[0]?.address)
      mustEqual(new Set(addresses).size, crowd, 'the number of different addresses')
      for (const [at, pod] of pods.entries())
        mustEqual(pod.netns.addresses('eth0'), [addresses[at]], `the list of addresses in ${pod.netns.name}`)
      const { bridge } = config
      if (!bridge) return
      const links = world.host.links()
      const bridges = links.filter(({ linkinfo }) => linkinfo?.info_kind === 'bridge').map(({ ifname }) => ifname)
      mustEqual(bridges, [bridge], 'the list of bridges')
      mustEqual(links.filter(({ master }) => master === bridge).length, crowd, 'the number of ports')
    },
  },
  {
    id: 'E38', level: 'DEF', applies: ['interface'], title: 'parallel ops on one container', needs: ['attach'],
    async run(world) {
      const executable = sibling(world, 'loopback')
      const lo = {
        executable, env: { CNI_IFNAME: 'lo' }, config: { name: 'cni-loopback', type: 'loopback', ipam: undefined },
      }
      for (let round = 0; round < 3; round++) {
        const added = await Promise.all([world.start('ADD', lo).reply, world.start('ADD').reply])
        for (const reply of added) resultOf(reply)
        for (const name of ['lo', 'eth0']) must(linkIn(world.pod, name).flags.includes('UP'), `${name} is down`)
        const removed = await Promise.all([world.start('DEL', lo).reply, world.start('DEL').reply])
        for (const reply of removed) succeeds(reply)
      }
    },
  },
  {
    id: 'F19', level: 'MUST', applies: ['ALL'], title: 'parallel duplicate DEL',
    async run(world) {
      const before = world.snapshot()
      world.add()
      const replies = await Promise.all(Array.from({ length: crowd }, () => world.start('DEL').reply))
      for (const reply of replies) succeeds(reply)
      world.mustBeClean(before)
    },
  },
  {
    id: 'F21', level: 'QUAL', applies: ['ALL'], title: 'after SIGKILL during ADD', needs: ['attach'],
    async run(world) {
      const before = world.snapshot()
      world.add()
      const whole = world.replies.at(-1)?.milliseconds ?? 0
      world.del()
      for (let point = 1; point <= 20; point++) {
        await killed(world, (whole * point) / 20)
        world.del({ config: { prevResult: undefined } })
        world.mustBeClean(before)
      }
      world.add()
      world.del()
      world.mustBeClean(before)
    },
  },
]
