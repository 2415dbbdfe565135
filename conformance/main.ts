// Judges the CNI plugins of a directory against the specification; see README.md.

import { writeSync } from 'node:fs'
import { parseOptions, usage } from './arguments.ts'
import { deviationOf, knownDeviations } from './known.ts'
import { plan, pluginsIn } from './plan.ts'
import { readProfiles } from './profile.ts'
import { reports } from './report.ts'
import { loadCases } from './suite.ts'
import { judgeAll } from './team.ts'
import { tally, type Verdict } from './verdict.ts'
import { work, type Assignment } from './worker.ts'

/** Runs what the command line asks for. Returns the exit status: 1 when a case fails that is not a known deviation. */
const main = async (argv: readonly string[]): Promise<number> => {
  const options = parseOptions(argv)
  if (process.geteuid?.() !== 0) throw new Error('namespaces can only be made by root')
  const { bin, selection, extras, jobs } = options
  const profiles = options.profiles ? readProfiles(options.profiles) : {}
  const known = options.known ? knownDeviations(options.known) : []
  const items = plan(await loadCases(), pluginsIn(bin, profiles), profiles, selection)
  if (items.length === 0) throw new Error('no case is left to run; check --area, --case, --plugins and the directory')

  const report = reports[options.format]
  const verdicts: Verdict[] = []
  writeSync(1, report.begin(items.length))
  await judgeAll({ bin, profiles, extras, jobs, items }, judged => {
    const deviation = deviationOf(known, judged.id, judged.plugin)
    const verdict: Verdict = deviation ? { ...judged, known: { id: deviation.id, reason: deviation.reason } } : judged
    verdicts.push(verdict)
    writeSync(1, report.add(verdict, verdicts.length))
  })
  writeSync(1, report.end(verdicts))
  return tally(verdicts).failed > 0 ? 1 : 0
}

const [first, second = ''] = process.argv.slice(2)
try {
  if (first === '--worker') await work(JSON.parse(second) as Assignment)
  else if (first === '--help' || first === undefined) writeSync(1, usage)
  else process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  writeSync(2, `conformance: ${(error as Error).message}\n`)
  process.exitCode = 2
}
