// `node bench/overlay.ts`: the numbers of the overlay. See README.md.
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { enterPrivateNamespaces } from '../tools/privacy.ts'
import { compile } from './compiler.ts'
import { measureAttachments } from './overlay-attach.ts'
import { measureCrowd } from './overlay-crowd.ts'
import { layPaths } from './overlay-paths.ts'
import { measureReach } from './overlay-reach.ts'
import { attachMarkdown, crowdMarkdown, reachMarkdown, trafficMarkdown } from './overlay-report.ts'
import { measureTraffic } from './overlay-traffic.ts'
import { scoped } from './scope.ts'
import { Stopwatch } from './stopwatch.ts'

/** As for the tests. */
const bin = resolve(process.env['FAIRLEAD_BIN'] ?? 'build/bin')

const { values: options } = parseArgs({
  options: {
    hosts: { type: 'string', default: '10' },
    crowd: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '5' },
    runs: { type: 'string', default: '31' },
    transfers: { type: 'string', default: '11' },
    only: { type: 'string', multiple: true, default: [] },
  },
})

function whole(name: 'hosts' | 'crowd' | 'rounds' | 'runs' | 'transfers', least: number): number {
  const value = Number(options[name])
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${name} ${options[name]}: give a whole number from ${least}`)
  return value
}

/** An executable that there is no measuring without. */
function compiled(source: string, folder: string): string {
  const program = compile(source, folder)
  if (program === undefined) throw new Error(`${source}: no C compiler: install one`)
  return program
}

const parts = (folder: string): Record<string, () => Promise<string>> => {
  const [hosts, crowd] = [whole('hosts', 2), whole('crowd', 1)]
  const [rounds, runs, transfers] = [whole('rounds', 1), whole('runs', 1), whole('transfers', 1)]
  return {
    'reach': () => scoped(async (scope) => reachMarkdown(await measureReach(scope, hosts, rounds), hosts)),
    'crowd': () => scoped(async (scope) => crowdMarkdown(await measureCrowd(scope, crowd, rounds), crowd)),
    'attach': () => scoped(async (scope) => {
      const stopwatch = new Stopwatch(compiled('spawn.c', folder), folder)
      return attachMarkdown(await measureAttachments(scope, stopwatch, bin, runs))
    }),
    'traffic': () => scoped(async (scope) => {
      const asker = compiled('round-trips.c', folder)
      return trafficMarkdown(await measureTraffic(await layPaths(scope), asker, transfers))
    }),
  }
}

enterPrivateNamespaces()
const folder = mkdtempSync(join(tmpdir(), 'bench-'))
try {
  const all = parts(folder)
  const unknown = options.only.find((name) => !(name in all))
  if (unknown !== undefined) throw new Error(`--only ${unknown}: give one of ${Object.keys(all).join(', ')}`)
  for (const [name, measure] of Object.entries(all)) {
    if (options.only.length > 0 && !options.only.includes(name)) continue
    console.error(`${name} ...`)
    const before = loadavg()[0] ?? NaN
    const text = await measure()
    console.log(`${text}\n\nLoad average ${before.toFixed(1)} before, ${(loadavg()[0] ?? NaN).toFixed(1)} after.\n`)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
