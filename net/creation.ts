// Creating something so that a failure can be taken back.
import { errnoOf } from '#sys/errno.ts'

/** Registers how to take back what has just been done, should something fail later. */
export type Undo = (what: string, step: () => void) => void

/**
 * Runs a step that creates something. How to take it back is registered in any case but one: that the kernel says it
 * has been there before, as somebody else's. An answer of the kernel's may be lost, and then the thing is there all
 * the same.
 * @param takeBack must be content with nothing being there
 * @throws what `step` throws
 */
export const create = <T>(undo: Undo, what: string, takeBack: () => void, step: () => T): T => {
  let isForeign = false
  try {
    return step()
  } catch (error) {
    isForeign = ['EEXIST', 'EADDRINUSE'].includes(errnoOf(error) ?? '')
    throw error
  } finally {
    if (!isForeign) undo(what, takeBack)
  }
}
