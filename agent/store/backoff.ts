// Waiting between attempts, so that a store that comes back is not met by all hosts at once.
import { setTimeout } from 'node:timers/promises'

const [SHORTEST, LONGEST] = [500, 30_000]

/** How long to wait before the next attempt: twice as long after each failure, from 0.5 to 30 s, a random half off. */
export class Backoff {
  readonly #shortest: number
  #next: number

  constructor(shortest = SHORTEST) {
    this.#shortest = shortest
    this.#next = shortest
  }

  /** The next pause in milliseconds. */
  next(): number {
    const pause = this.#next
    this.#next = Math.min(2 * pause, LONGEST)
    return pause * (0.5 + Math.random() / 2)
  }

  /** An attempt succeeded. */
  reset(): void { this.#next = this.#shortest }
}

/** Waits, or until `signal` is aborted. */
export const pause = async (milliseconds: number, signal: AbortSignal): Promise<void> => {
  await setTimeout(milliseconds, undefined, { signal }).catch(() => undefined)
}
