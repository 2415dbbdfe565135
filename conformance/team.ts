// The workers of a run: hands out the items of the plan and delivers the verdicts in the plan's order.

import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { startIsolated } from './isolation.ts'
import type { Item } from './plan.ts'
import type { Verdict } from './verdict.ts'
import { mountNamespace, type Assignment } from './worker.ts'

export interface Work extends Omit<Assignment, 'outside'> {
  readonly jobs: number
  readonly items: readonly Item[]
}

/** Judges every item and calls `deliver` in order. Throws when a worker ends before its work does. */
export const judgeAll = async (work: Work, deliver: (verdict: Verdict) => void): Promise<void> => {
  const { jobs, items, bin, profiles, extras } = work
  const assignment: Assignment = { bin, profiles, extras, outside: mountNamespace() }
  const state = [...new Set(Object.values(profiles).flatMap(profile => profile.state ?? []))]
  const verdicts = new Map<number, Verdict>()
  let next = 0
  let delivered = 0

  const employ = async (worker: ChildProcess): Promise<void> => {
    const { stdin, stdout } = worker
    if (!stdin || !stdout) throw new Error('a worker has no pipes')
    const ended = new Promise<void>(resolve => worker.on('close', () => resolve()))
    const answers = createInterface({ input: stdout })[Symbol.asyncIterator]()
    stdin.on('error', () => {})
    while (next < items.length) {
      const index = next++
      const item = items[index]
      stdin.write(`${JSON.stringify(item)}\n`)
      const answer = await answers.next()
      if (answer.done) throw new Error(`the worker ended during ${item?.id} ${item?.plugin}`)
      verdicts.set(index, JSON.parse(answer.value) as Verdict)
      for (let verdict = verdicts.get(delivered); verdict; verdict = verdicts.get(++delivered)) deliver(verdict)
    }
    stdin.end()
    await ended
  }

  const main = join(import.meta.dirname, 'main.ts')
  const workers = Array.from({ length: Math.min(jobs, items.length) }, () =>
    startIsolated([main, '--worker', JSON.stringify(assignment)], state))
  try {
    await Promise.all(workers.map(employ))
  } finally {
    for (const worker of workers) worker.kill('SIGKILL')
  }
}
