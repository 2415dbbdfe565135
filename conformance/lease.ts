// What cases ask of the stub IPAM beside its default answer, and what it has handed out.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Skip } from './case.ts'
import { must } from './expect.ts'
import type { Result } from './result.ts'
import { answers, leases, releases, type Script, type Stub } from './stub.ts'
import type { World } from './world.ts'

export const address4 = { address: '10.77.0.$n/24', gateway: '10.77.0.1' }
export const address6 = { address: 'fd00:77::$n/64', gateway: 'fd00:77::1' }

/** An address of each family with a default route, and a route of each family that leaves the gateway to the plugin. */
export const dual: Result = {
  ips: [address4, address6],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }, { dst: '10.99.0.0/16' }, { dst: 'fd00:99::/64' }],
}

/** Lets the stub IPAM hand out `result` (`$n` is the number of the lease); `more` scripts its other verbs. */
export const lends = (world: World, result: Result, more: Script = {}): Stub =>
  world.stub('stub-ipam', {
    ADD: leases(world.leases, '10.77.0.') + answers(result), DEL: releases(world.leases), ...more,
  })

/** Throws when the stub IPAM has a lease that has not been given back. */
export const mustBeReleased = (world: World): void => {
  const left = readdirSync(world.leases)
  must(left.length === 0, `IPAM still has ${left.join(', ')}`)
}

/** The executable of another plugin of the same directory; ends the case as skipped when there is none. */
export const sibling = (world: World, plugin: string): string => {
  const executable = join(world.subject.bin, plugin)
  if (!existsSync(executable)) throw new Skip(`there is no ${plugin} in ${world.subject.bin}`)
  return executable
}
