// Area A: container ids and interface names (SPEC.md, section 2, "Parameters"; dev_valid_name in net/core/dev.c).

import type { Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf } from '../expect.ts'
import type { World } from '../world.ts'

const invalidIds = ['-a', '_a', '.a', 'a/b', 'a b', 'a:b', '..', 'a\n', 'é']
const validIds = ['a', 'A.b_c-9', '0123456789abcdef'.repeat(4)]
const invalidNames = ['.', '..', 'a/b', 'a:b', 'a b', 'a\tb', 'a\u00a0b']

/** ADD works, and DEL takes everything back. */
const comesAndGoes = (world: World, attempt: Parameters<World['add']>[0]): void => {
  const before = world.snapshot()
  world.add(attempt)
  world.del(attempt)
  world.mustBeClean(before)
}

export const cases: readonly Case[] = [
  {
    id: 'A27', level: 'MUST', applies: ['ALL'], title: 'invalid container ids',
    run(world) {
      world.unchanged(() => {
        for (const id of invalidIds) refuses(world.call('ADD', { env: { CNI_CONTAINERID: id } }), [4])
      })
    },
  },
  {
    id: 'A28', level: 'MUST', applies: ['ALL'], title: 'valid container ids', needs: ['attach'],
    run(world) {
      for (const id of validIds) comesAndGoes(world, { pod: world.addPod(), env: { CNI_CONTAINERID: id } })
    },
  },
  {
    id: 'A29', level: 'QUAL', applies: ['ipam', 'chained'], title: 'very long container id', needs: ['attach'],
    run(world) {
      const attempt = { env: { CNI_CONTAINERID: 'a'.repeat(300) } }
      const before = world.snapshot()
      const reply = world.call('ADD', attempt)
      if (reply.status === 0) resultOf(reply)
      else refuses(reply, [4, 'own'])
      world.del(attempt)
      world.mustBeClean(before)
    },
  },
  {
    id: 'A30', level: 'MUST', applies: ['ALL'], title: 'ids validated on DEL and CHECK',
    run(world) {
      world.unchanged(() => {
        for (const verb of ['DEL', 'CHECK'])
          refuses(world.call(verb, { env: { CNI_CONTAINERID: '../x' } }), [4])
      })
    },
  },
  {
    id: 'A31', level: 'DEF', applies: ['ALL'], title: 'invalid ifnames',
    run(world) {
      world.unchanged(() => {
        for (const name of invalidNames) refuses(world.call('ADD', { env: { CNI_IFNAME: name } }), [4])
      })
    },
  },
  {
    id: 'A32', level: 'DEF', applies: ['ALL'], title: 'ifname 15 vs 16 bytes',
    run(world) {
      for (const long of ['a'.repeat(16), 'é'.repeat(8)])
        refuses(world.call('ADD', { env: { CNI_IFNAME: long } }), [4])
      // A chained plugin works on a link that exists, and the world's is called eth0.
      if (world.subject.unattachable || world.subject.profile.kind === 'chained') return
      for (const name of ['a'.repeat(15), 'é'.repeat(7)])
        comesAndGoes(world, { pod: world.addPod(), env: { CNI_IFNAME: name } })
    },
  },
  {
    id: 'A33', level: 'QUAL', applies: ['ALL'], title: 'ifname with option-like or format text', needs: ['attach'],
    run(world) {
      for (const name of ['-x', '%d', 'a;b', '$(x)']) {
        const pod = world.addPod()
        const attempt = { pod, env: { CNI_IFNAME: name } }
        const before = world.snapshot()
        const reply = world.call('ADD', attempt)
        const links = pod.netns.links().map(link => link.ifname)
        if (reply.status !== 0) refuses(reply, [4, 'own'])
        else if (world.subject.profile.kind === 'interface')
          must(links.includes(name), `there is no link ${name}, but ${links}`)
        mustEqual(links.includes('0'), false, 'a link called 0')
        world.del(attempt)
        world.mustBeClean(before)
      }
    },
  },
]
