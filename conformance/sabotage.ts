// Ways in which the plugin that ADD delegates to, or what it answers, makes ADD fail.

import type { JsonObject } from './json.ts'
import { address4, lends } from './lease.ts'
import { complains, fails, prints } from './stub.ts'
import type { World } from './world.ts'

/** By title; each sets up the failure and returns the change to the configuration that belongs to it. */
export const sabotages: Readonly<Record<string, (world: World) => JsonObject>> = {
  'IPAM fails'(world) {
    lends(world, {}, { ADD: fails({ cniVersion: '1.0.0', code: 100, msg: 'no lease', details: 'none left' }) })
    return {}
  },
  'IPAM fails without JSON'(world) {
    lends(world, {}, { ADD: `${complains('the pool is on fire')}; exit 3` })
    return {}
  },
  'IPAM prints nothing'(world) {
    lends(world, {}, { ADD: 'true' })
    return {}
  },
  'IPAM prints junk'(world) {
    lends(world, {}, { ADD: prints('All went well!') })
    return {}
  },
  'IPAM returns no ips'(world) {
    lends(world, { ips: [], routes: [{ dst: '0.0.0.0/0' }] })
    return {}
  },
  // The address can be set, the route cannot: its gateway is not on the link.
  'a route cannot be set'(world) {
    lends(world, { ips: [address4], routes: [{ dst: '10.99.0.0/16', gw: '192.0.2.1' }] })
    return {}
  },
  'IPAM is missing': () => ({ ipam: { type: 'missing-plugin' } }),
}

/** Sets up one of them; returns the change to the configuration. Throws when there is none of that title. */
export const sabotage = (world: World, title: string): JsonObject => {
  const way = sabotages[title]
  if (!way) throw new Error(`no sabotage is called ${title}`)
  return way(world)
}
