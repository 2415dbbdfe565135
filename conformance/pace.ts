// How long calls take, on a machine that may be busy with other things.

import { spawnSync } from 'node:child_process'
import { must, succeeds } from './expect.ts'
import type { World } from './world.ts'

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

/** On a busy machine the budget is this many times what the smallest program takes there. */
const busy = 25

/** Runs a verb 20 times and throws unless the median is at most `budget` milliseconds. */
export const isQuick = (world: World, verb: string, budget: number): void => {
  const rounds = Array.from({ length: 20 }, () => {
    const start = performance.now()
    spawnSync('/usr/bin/nsenter', [`--net=${world.host.path}`, '--', 'true'])
    const idle = performance.now() - start
    const reply = world.call(verb)
    succeeds(reply)
    return { idle, took: reply.milliseconds }
  })
  const [idle, took] = [median(rounds.map(round => round.idle)), median(rounds.map(round => round.took))]
  const allowed = Math.max(budget, idle * busy)
  must(took <= allowed, `${verb} takes ${took.toFixed(1)} ms, at most ${allowed.toFixed(0)} are wanted`)
}
