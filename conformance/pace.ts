// How long calls take.

import { must, succeeds } from './expect.ts'
import type { World } from './world.ts'

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

/** Runs a verb 20 times and throws unless the median is at most `budget` milliseconds. */
export const isQuick = (world: World, verb: string, budget: number): void => {
  const rounds = Array.from({ length: 20 }, () => {
    const reply = world.call(verb)
    succeeds(reply)
    return reply.milliseconds
  })
  const took = median(rounds)
  must(took <= budget, `${verb} takes ${took.toFixed(1)} ms, at most ${budget} are wanted`)
}
