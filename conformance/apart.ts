// Attachments that can be there at the same time.

import { addDevice } from './pod.ts'
import type { Attempt, World } from './world.ts'

/**
 * The attempts with a number, or a device, of its own for each where the plugin's profile says that they need one.
 * @param from how many attachments there are already
 */
export const apart = (world: World, attempts: readonly Attempt[], from = 0): readonly Attempt[] => {
  const { counted, config, host } = world.subject.profile
  if (counted === undefined) return attempts
  const first = config[counted]
  return attempts.map((attempt, at) => {
    const number = from + at
    if (typeof first === 'number') return { ...attempt, config: { ...attempt.config, [counted]: first + number } }
    const name = String(first).replace(/\d+$/, last => String(Number(last) + number))
    if (host?.includes('device') && !world.host.link(name)) addDevice(world.host, name)
    return { ...attempt, config: { ...attempt.config, [counted]: name } }
  })
}
