// How long calls take.

import { spawnSync } from 'node:child_process'
import { must, succeeds } from './expect.ts'
import type { World } from './world.ts'

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

/** Milliseconds that a program may take which does nothing, where processes are as quick as budgets take them to be. */
const usual = 8

const bare = (): number => {
  const begun = performance.now()
  spawnSync('true')
  return performance.now() - begun
}

/**
 * Runs a verb 20 times and throws unless the median is at most `budget` milliseconds, more where every process is slow,
 * as in an emulated machine.
 */
export const isQuick = (world: World, verb: string, budget: number): void => {
  const rounds = Array.from({ length: 20 }, () => {
    const reply = world.call(verb)
    succeeds(reply)
    return { took: reply.milliseconds, bare: bare() }
  })
  const took = median(rounds.map(round => round.took))
  const allowed = budget * Math.max(1, median(rounds.map(round => round.bare)) / usual)
  must(took <= allowed, `${verb} takes ${took.toFixed(1)} ms, at most ${allowed.toFixed(1)} are wanted`)
}
