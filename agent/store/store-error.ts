// How a store fails, in the four ways that call for different answers.
import { errnoOf } from '#sys/errno.ts'

/**
 * - `unreachable`: nobody answered and nothing was changed; try again later.
 * - `unknown`: the answer to a change was lost; look whether it was made.
 * - `stale`: what happened since a position is not to be had; list again.
 * - `refused`: the store answered no, and will tomorrow: password, certificate, quota, a broken file.
 */
export type Trouble = 'unreachable' | 'unknown' | 'stale' | 'refused'

/** A store could not do what it was asked for. The message names the store and says why in one line. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly trouble: Trouble
  constructor(trouble: Trouble, message: string, options?: ErrorOptions) {
    super(message, options)
    this.trouble = trouble
  }
}

/** Whether an error says that something is amiss around us, and not in us: the store, the cluster, a full disk. */
export const isExcused = (error: unknown): error is Error =>
  error instanceof StoreError || errnoOf(error) !== undefined ||
  error instanceof Error && error.name === 'OverlayError'

/** Whether an error is a StoreError, of one of these kinds if any are named. */
export const isTrouble = (error: unknown, ...troubles: readonly Trouble[]): error is StoreError =>
  error instanceof StoreError && (troubles.length === 0 || troubles.includes(error.trouble))
