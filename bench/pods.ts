// `node bench/pods.ts`: many pods at once under containerd, each with a published port. See README.md.
import { resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { PodArena, phases } from './pod-arena.ts'
import type { PodRound, PodSubject } from './pod-arena.ts'
import { podMarkdown } from './pod-report.ts'

const { values: options } = parseArgs({
  options: {
    ours: { type: 'string', default: 'build/bin' },
    peer: { type: 'string', default: '/usr/lib/cni' },
    runs: { type: 'string', default: '3' },
    pods: { type: 'string', default: '50' },
  },
})

const subjects: PodSubject[] = [
  { name: 'ours', plugins: resolve(options.ours), network: true },
  { name: 'peer', plugins: resolve(options.peer), network: true },
  { name: 'without CNI', plugins: resolve(options.ours), network: false },
]

/** Rounds of each subject, in turn; one before the first is not counted. */
async function measure(arenas: PodArena[], runs: number): Promise<PodRound[][]> {
  const rounds: PodRound[][] = arenas.map(() => [])
  for (let run = 0; run <= runs; run += 1) {
    for (const [index, arena] of arenas.entries()) {
      const round = await arena.round()
      const walls = phases.map((phase) => `${phase} ${(round[phase].wall / 1000).toFixed(1)} s`)
      console.error(`${arena.subject.name}: ${walls.join(', ')}${run === 0 ? ', not counted' : ''}`)
      if (run > 0) rounds[index]?.push(round)
    }
  }
  return rounds
}

const steps: (() => unknown)[] = []
try {
  const [runs, pods] = [Number(options.runs), Number(options.pods)]
  if (!(runs >= 1 && pods >= 1)) throw new Error('--runs and --pods: give whole numbers above 0')
  const scope = { teardown: (step: () => unknown) => steps.unshift(step) }
  const arenas: PodArena[] = []
  for (const subject of subjects) arenas.push(await PodArena.open(scope, subject, pods))
  console.log(podMarkdown(await measure(arenas, runs), pods))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  for (const step of steps) await step()
}
