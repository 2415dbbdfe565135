// `make test`: the tests beside the code and of the whole system, then conformance of our suite and, as a control of
// the runner, of the reference suite, then what this kernel lacks, in a guest. Shows what failed and why anything was
// skipped, and ends with one line that counts all.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { counted, inWords, report, sum, summary, type Count } from './test-output.ts'
import { runLane } from './vm/lane.ts'

const [ours, reference] = ['build/bin', process.env['PEER'] ?? '/usr/lib/cni']
const logs = 'build/logs'

/** Runs a command with its output in a file. */
const run = (
  log: string, command: string, args: readonly string[],
): { readonly ok: boolean; readonly output: string } => {
  const file = openSync(`${logs}/${log}.tap`, 'w')
  const { status } = spawnSync(command, args, { stdio: ['ignore', file, 'inherit'] })
  closeSync(file)
  return { ok: status === 0, output: readFileSync(`${logs}/${log}.tap`, 'utf8') }
}

/** One more than the processors of a small machine: much of what tests do is waiting. */
const JOBS = '3'

const unit = (): Count => {
  if (spawnSync('tap', ['build'], { stdio: 'ignore' }).status !== 0) throw new Error('tap build failed')
  const { ok, output } = run('tests', 'tap', ['--reporter=tap', `--jobs=${JOBS}`])
  report(output)
  return counted(summary(output), ok)
}

const conformance = (log: string, directory: string, ...options: string[]): Count => {
  const { ok, output } = run(log, process.execPath, ['conformance/main.ts', directory, '--jobs', JOBS, ...options])
  report(output)
  return counted(summary(output), ok)
}

const guest = async (): Promise<Count | string> => {
  const lane = await runLane({ ours, reference, all: false, logs })
  if ('reason' in lane) return lane.reason
  lane.outputs.forEach(report)
  console.log(`  guests ran Linux ${lane.release}`)
  return lane.count
}

mkdirSync(logs, { recursive: true })
const parts: Readonly<Record<string, () => Count | Promise<Count | string>>> = {
  'tests of the code and of the whole': unit,
  'conformance of ours': () => conformance('conformance', ours, '--with', reference),
  'conformance of the reference': () => conformance('control', reference, '--known', 'reference'),
  'on a kernel with more drivers': guest,
}
const started = Date.now()
const counts: Count[] = []
for (const [name, judge] of Object.entries(parts)) {
  const begun = Date.now()
  const count = await judge()
  if (typeof count === 'string') {
    console.log(`${name}: not run: ${count}`)
    continue
  }
  counts.push(count)
  console.log(`${name}: ${inWords(count)} (${Math.round((Date.now() - begun) / 1000)} s)`)
}
const total = sum(counts)
console.log(`took ${Math.round((Date.now() - started) / 1000)} s; everything that was said is in ${logs}`)
console.log(`fairlead: ${inWords(total)}`)
process.exitCode = total.failed > 0 ? 1 : 0
