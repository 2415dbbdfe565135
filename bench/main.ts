// `node bench/main.ts`: measures our plugins beside another directory of CNI plugins. See README.md.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { enterPrivateNamespaces } from '../tools/privacy.ts'
import { Arena } from './arena.ts'
import type { Round } from './arena.ts'
import { Client } from './client.ts'
import { compile } from './compiler.ts'
import { canMake } from './ground.ts'
import { markdown } from './report.ts'
import { resultsOf, verdictsOf } from './results.ts'
import type { Result, Who } from './results.ts'
import { Stopwatch } from './stopwatch.ts'
import { has } from './subject.ts'
import type { Subject } from './subject.ts'
import { workloads } from './workloads.ts'
import type { Workload } from './workloads.ts'

const { values: options } = parseArgs({
  options: {
    ours: { type: 'string', default: 'build/bin' },
    peer: { type: 'string', default: '/usr/lib/cni' },
    runs: { type: 'string', default: '15' },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
  },
})

interface Tools {
  stopwatch: Stopwatch
  client: Client | undefined
}

/** Subjects of a workload take turns, round by round, so that a slow minute of the machine meets all of them. */
function measure(workload: Workload, subjects: Subject[], tools: Tools, runs: number): Result[] {
  const arenas = subjects.map((subject) => new Arena(subject, workload, tools.stopwatch, tools.client))
  const rounds = new Map<Who, Round[]>(subjects.map((subject) => [subject.name, []]))
  for (const arena of arenas) arena.round()
  for (let run = 0; run < runs; run += 1) {
    for (const arena of arenas) rounds.get(arena.subject.name)?.push(arena.round())
  }
  for (const arena of arenas) arena.close()
  return resultsOf(workload, rounds)
}

function chosen(): Workload[] {
  const names = workloads.map((workload) => workload.name)
  const unknown = options.only.find((name) => !names.some((known) => known.startsWith(name)))
  if (unknown !== undefined) {
    throw new Error(`--only ${unknown}: no such workload: give the beginning of one of ${names.join(', ')}`)
  }
  return workloads.filter(({ name }) => options.only.length === 0 || options.only.some((only) => name.startsWith(only)))
}

function main(folder: string): void {
  const runs = Number(options.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${options.runs}: give a whole number above 0`)
  const driver = compile('spawn.c', folder)
  const floor = compile('floor.c', folder)
  if (driver === undefined) console.error('No C compiler: coarse clock, and no processor time, memory, crowd or floor.')
  const stopwatch = new Stopwatch(driver, folder)
  const connector = compile('connect.c', folder)
  const tools = { stopwatch, client: connector === undefined ? undefined : new Client(connector) }
  const subjects: Subject[] = [
    { name: 'ours', program: (plugin) => resolve(options.ours, plugin) },
    { name: 'peer', program: (plugin) => resolve(options.peer, plugin) },
  ]
  const results: Result[] = []
  for (const workload of chosen()) {
    if (workload.kind && !canMake(workload.kind)) {
      console.error(`${workload.title}: left out, this kernel has no ${workload.kind} links`)
      continue
    }
    for (const { plugin } of [workload, ...workload.chained ?? []]) {
      const missing = subjects.find((subject) => !has(subject, plugin))
      if (missing) throw new Error(`--${missing.name}: no ${missing.program(plugin)}: name another directory`)
    }
    if (workload.crowd && !stopwatch.precise) continue
    const floors: Subject[] = workload.floor && floor ? [{ name: 'floor', program: () => floor }] : []
    console.error(`${workload.title} ...`)
    results.push(...measure(workload, [...subjects, ...floors], tools, runs))
  }
  const verdicts = verdictsOf(results)
  console.log(options.json ? JSON.stringify({ runs, results, verdicts }, null, 2) : markdown(results, verdicts, runs))
}

enterPrivateNamespaces()
const folder = mkdtempSync(join(tmpdir(), 'bench-'))
try {
  main(folder)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
