// Area C: which versions a plugin takes and what it answers in (SPEC.md, "Version considerations").

import { Skip, type Case } from '../case.ts'
import { must, mustEqual, refuses } from '../expect.ts'
import { mustHaveShape } from '../shape.ts'
import { isAtLeast } from '../versions.ts'

export const cases: readonly Case[] = [
  {
    id: 'C01', level: 'MUST', applies: ['ALL'], title: 'result carries requested version', needs: ['attach'],
    run(world) {
      for (const version of world.subject.supported) {
        const attempt = { version, pod: world.addPod() }
        mustEqual(world.add(attempt).cniVersion, version, 'cniVersion')
        world.del(attempt)
      }
    },
  },
  {
    id: 'C02', level: 'MUST', applies: ['ALL'], title: 'unsupported version',
    run(world) {
      world.unchanged(() => {
        for (const verb of ['ADD', 'DEL']) refuses(world.call(verb, { config: { cniVersion: '9.9.9' } }), [1])
      })
    },
  },
  {
    id: 'C03', level: 'DEF', applies: ['ALL'], title: 'exact match only',
    run(world) {
      refuses(world.call('ADD', { config: { cniVersion: '0.4' } }), [1])
    },
  },
  {
    id: 'C04', level: 'DEF', applies: ['ALL'], title: 'unparsable version',
    run(world) {
      refuses(world.call('ADD', { config: { cniVersion: 'abc' } }), [1])
      refuses(world.call('CHECK', { config: { cniVersion: 'abc' } }), [1, 6])
    },
  },
  {
    id: 'C05', level: 'DEF', applies: ['ALL'], title: 'missing version', needs: ['attach'],
    run(world) {
      if (isAtLeast(world.subject.supported[0] ?? '', '0.3.0'))
        throw new Skip(`${world.plugin} advertises no version below 0.3.0`)
      for (const cniVersion of [undefined, '']) {
        const attempt = { version: '0.2.0', config: { cniVersion }, pod: world.addPod() }
        const result = world.add(attempt)
        const answered = result.cniVersion ?? ''
        must(['0.1.0', '0.2.0'].includes(answered), `cniVersion is ${answered}, expected 0.1.0 or 0.2.0`)
        mustHaveShape(result, answered)
        world.del(attempt)
      }
    },
  },
  {
    id: 'C17', level: 'MUST', applies: ['ALL'], title: 'CHECK below 0.4.0',
    run(world) {
      refuses(world.call('CHECK', { version: '0.3.1' }), [1])
    },
  },
  {
    id: 'C18', level: 'MUST', applies: ['ALL'], title: 'STATUS/GC below 1.1.0', since: '1.1.0',
    run(world) {
      for (const verb of ['STATUS', 'GC']) refuses(world.call(verb, { version: '1.0.0' }), [1])
    },
  },
  {
    id: 'C19', level: 'MUST', applies: ['ALL'], title: 'verb newer than plugin', until: '1.0.0',
    run(world) {
      // A plugin of that age may ask for the variables of an attachment first.
      const { CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME } = world.env('ADD')
      refuses(world.call('STATUS', { env: { CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME } }), [1, 4])
    },
  },
]
