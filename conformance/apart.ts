// Attachments that can be there at the same time.

import type { JsonObject } from './json.ts'
import { addDevice } from './pod.ts'
import type { Attempt, World } from './world.ts'

/** A copy of a value with the number at the end of a path, or the one that a name there ends in, raised. */
const raised = (value: unknown, [key, ...rest]: readonly string[], by: number): unknown => {
  if (key === undefined) {
    return typeof value === 'number' ? value + by : String(value).replace(/\d+$/, last => String(Number(last) + by))
  }
  if (Array.isArray(value)) return value.with(Number(key), raised(value[Number(key)], rest, by))
  const object = value as JsonObject
  return { ...object, [key]: raised(object[key], rest, by) }
}

/**
 * The attempts with a number, or a device, of its own for each where the plugin's profile says that they need one.
 * @param from how many attachments there are already
 */
export const apart = (world: World, attempts: readonly Attempt[], from = 0): readonly Attempt[] => {
  const { counted, config, host } = world.subject.profile
  if (counted === undefined) return attempts
  const [key = '', ...rest] = counted.split('.')
  return attempts.map((attempt, at) => {
    const value = raised(config[key], rest, from + at)
    if (host?.includes('device') && !world.host.link(String(value))) addDevice(world.host, String(value))
    return { ...attempt, config: { ...attempt.config, [key]: value } }
  })
}
