// Area E: ADD fails because of the plugin that it delegates to, or after it (SPEC.md, section 4, "Delegated Plugin
// Execution": the plugin that delegates runs DEL on all of its delegates before it returns).

import type { Case } from '../case.ts'
import { errorOf, must, mustEqual, refuses, type PluginError } from '../expect.ts'
import { changed, type JsonObject } from '../json.ts'
import { mustBeReleased } from '../lease.ts'
import { sabotage } from '../sabotage.ts'
import { fails } from '../stub.ts'
import type { World } from '../world.ts'

/** A sabotaged ADD that has to fail and to leave nothing at all. Returns the error. */
const failsCleanly = (world: World, title: string): PluginError => {
  const config = sabotage(world, title)
  return world.unchanged(() => errorOf(world.call('ADD', { config })))
}

const withoutVerb = (env: JsonObject): JsonObject => changed(env, { CNI_COMMAND: undefined })

export const cases: readonly Case[] = [
  {
    id: 'E15', level: 'SHOULD', applies: ['delegating'], title: 'delegate fails → nothing left', needs: ['attach'],
    run(world) {
      failsCleanly(world, 'IPAM fails')
    },
  },
  {
    id: 'E16', level: 'MUST', applies: ['delegating'], title: 'own failure after IPAM ok → IPAM DEL',
    needs: ['attach'],
    run(world) {
      sabotage(world, 'a route cannot be set')
      errorOf(world.call('ADD'))
      const calls = world.ipam.calls()
      mustEqual(calls.map(({ verb }) => verb), ['ADD', 'DEL'], 'the list of calls of IPAM')
      const [add, del] = calls.map(({ env }) => Object.entries(withoutVerb(env)).sort())
      mustEqual(del, add, 'the environment of DEL')
      mustBeReleased(world)
    },
  },
  {
    id: 'E17', level: 'SHOULD', applies: ['delegating'], title: 'IPAM ADD failed → IPAM DEL', needs: ['attach'],
    run(world) {
      sabotage(world, 'IPAM fails')
      errorOf(world.call('ADD'))
      mustEqual(world.ipam.verbs(), ['ADD', 'DEL'], 'the list of calls of IPAM')
    },
  },
  {
    id: 'E29', level: 'SHOULD', applies: ['delegating'], title: 'delegate returns no ips', needs: ['attach'],
    run(world) {
      failsCleanly(world, 'IPAM returns no ips')
    },
  },
  {
    id: 'E30', level: 'SHOULD', applies: ['delegating'], title: 'delegate prints junk / nothing, exit 0',
    needs: ['attach'],
    run(world) {
      for (const title of ['IPAM prints junk', 'IPAM prints nothing']) failsCleanly(world, title)
    },
  },
  {
    id: 'E31', level: 'SHOULD', applies: ['delegating'], title: 'delegate JSON error passed on', needs: ['attach'],
    run(world) {
      const error = { code: 11, msg: 'try again later', details: 'the pool is being resized' }
      world.stub('stub-ipam', { ADD: fails({ cniVersion: world.subject.version, ...error }) })
      const { code, msg, details } = errorOf(world.call('ADD'))
      mustEqual({ code, msg, details }, error, 'the error')
    },
  },
  {
    id: 'E32', level: 'QUAL', applies: ['delegating'], title: 'delegate error without JSON', needs: ['attach'],
    run(world) {
      sabotage(world, 'IPAM fails without JSON')
      const error = errorOf(world.call('ADD'))
      must(error.code >= 1, `code is ${error.code}, expected 1 or more`)
      const said = `${error.msg} ${error.details}`
      must(said.includes('the pool is on fire'), `"${said}" does not say what IPAM wrote on stderr`)
    },
  },
  {
    id: 'E33', level: 'SHOULD', applies: ['delegating'], title: 'delegate missing', needs: ['attach'],
    run(world) {
      const config = sabotage(world, 'IPAM is missing')
      world.unchanged(() => refuses(world.call('ADD', { config }), [2, 4, 5, 7, 'own'], 'missing-plugin', world.stubs))
    },
  },
]
