// Area A: which variables each verb needs (SPEC.md, section 2, "CNI operations").

import type { Case } from '../case.ts'
import { refuses, resultOf, succeeds } from '../expect.ts'

const attachment = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'] as const
const emptyAttachment = { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' }
const noAttachment = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_ARGS: undefined }

/** A call that lacks one variable is refused, names it, and does nothing. */
const needed = (id: string, verb: string, variable: string, title: string): Case => ({
  id, level: 'MUST', applies: ['ALL'], title,
  run(world) {
    world.unchanged(() => refuses(world.call(verb, { env: { [variable]: undefined } }), [4], variable))
  },
})

export const cases: readonly Case[] = [
  needed('A11', 'ADD', 'CNI_CONTAINERID', 'ADD without CONTAINERID'),
  needed('A12', 'ADD', 'CNI_NETNS', 'ADD without NETNS'),
  needed('A13', 'ADD', 'CNI_IFNAME', 'ADD without IFNAME'),
  {
    id: 'A14', level: 'MUST', applies: ['ALL'], title: 'empty string counts as missing',
    run(world) {
      refuses(world.call('ADD', { env: { CNI_IFNAME: '' } }), [4], 'CNI_IFNAME')
    },
  },
  {
    id: 'A15', level: 'SHOULD', applies: ['ALL'], title: 'all missing variables listed',
    run(world) {
      refuses(world.call('ADD', { env: noAttachment }), [4], ...attachment)
    },
  },
  {
    id: 'A16', level: 'SHOULD', applies: ['non-delegating'], title: 'CNI_PATH optional on ADD', needs: ['attach'],
    run(world) {
      resultOf(world.call('ADD', { env: { CNI_PATH: undefined } }))
    },
  },
  {
    id: 'A17', level: 'SHOULD', applies: ['delegating'], title: 'delegation without CNI_PATH',
    run(world) {
      world.unchanged(() => refuses(world.call('ADD', { env: { CNI_PATH: undefined } }), [4], 'CNI_PATH'))
    },
  },
  needed('A18', 'DEL', 'CNI_CONTAINERID', 'DEL without CONTAINERID'),
  needed('A19', 'DEL', 'CNI_IFNAME', 'DEL without IFNAME'),
  {
    id: 'A20', level: 'MUST', applies: ['ALL'], title: 'DEL without NETNS', needs: ['profile'],
    run(world) {
      succeeds(world.call('DEL', { env: { CNI_NETNS: undefined } }))
    },
  },
  {
    id: 'A21', level: 'SHOULD', applies: ['non-delegating'], title: 'CNI_PATH optional on DEL', needs: ['profile'],
    run(world) {
      succeeds(world.call('DEL', { env: { CNI_PATH: undefined } }))
    },
  },
  {
    id: 'A22', level: 'MUST', applies: ['ALL'], title: 'CHECK requires ids',
    run(world) {
      for (const variable of attachment)
        refuses(world.call('CHECK', { env: { [variable]: undefined } }), [4], variable)
    },
  },
  {
    id: 'A23', level: 'SHOULD', applies: ['non-delegating'], title: 'STATUS without CNI_PATH',
    since: '1.1.0', needs: ['attach'],
    run(world) {
      succeeds(world.call('STATUS', { env: { ...noAttachment, CNI_PATH: undefined } }))
    },
  },
  {
    id: 'A24', level: 'DEF', applies: ['ALL'], title: 'STATUS with empty attachment vars',
    since: '1.1.0', needs: ['attach'],
    run(world) {
      succeeds(world.call('STATUS', { env: emptyAttachment }))
    },
  },
  {
    id: 'A25', level: 'DEF', applies: ['ALL'], title: 'GC with empty attachment vars',
    since: '1.1.0', needs: ['profile'],
    run(world) {
      succeeds(world.call('GC', { env: emptyAttachment }))
    },
  },
  {
    id: 'A26', level: 'MUST', applies: ['ALL'], title: 'GC requires CNI_PATH', since: '1.1.0',
    run(world) {
      refuses(world.call('GC', { env: { CNI_PATH: undefined } }), [4], 'CNI_PATH')
    },
  },
]
