// Whether CHECK notices what has been broken.

import { errorOf, Failure, succeeds, type PluginError } from './expect.ts'
import type { Attempt, World } from './world.ts'

/**
 * CHECK of an attachment has to succeed, and to fail once `harm` has been done. `attempt` goes for both calls of CHECK,
 * `later` over it for the second. Returns the error; throws when the harm is not noticed.
 */
export const mustNotice = (world: World, harm: () => void, attempt: Attempt = {}, later: Attempt = {}): PluginError => {
  succeeds(world.call('CHECK', attempt))
  harm()
  const reply = world.call('CHECK', { ...attempt, ...later })
  if (reply.status === 0) throw new Failure('CHECK succeeds although the attachment is broken')
  return errorOf(reply)
}
