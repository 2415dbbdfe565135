// `make test`: the tests beside the code and of the whole system, then conformance of our suite and, as a control of the
// runner, of the reference suite. Ends with one line that counts them all.
import { spawnSync } from 'node:child_process'

interface Count { passed: number; failed: number; skipped: number }

const [ours, reference] = ['build/bin', process.env['PEER'] ?? '/usr/lib/cni']

/** Runs a command with its output shown, and returns the output. */
const show = (command: string, args: readonly string[]): { readonly status: number | null; readonly output: string } => {
  const run = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 })
  process.stdout.write(run.stdout)
  return { status: run.status, output: run.stdout }
}

const unit = (): Count => {
  if (spawnSync('tap', ['build'], { stdio: 'ignore' }).status !== 0) throw new Error('tap build failed')
  const { status, output } = show('tap', ['--reporter=tap', '--jobs=2'])
  const counts = /^# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?(?:, skip: (\d+))?/m.exec(output)
  const [passed = 0, failed = 0, skipped = 0] = (counts ?? []).slice(1).map(text => Number(text ?? 0))
  return { passed, skipped, failed: status === 0 ? failed : Math.max(failed, 1) }
}

const conformance = (directory: string, ...options: string[]): Count => {
  const { status, output } = show(process.execPath, ['conformance/main.ts', directory, ...options])
  const counts = /^conformance: (\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(output)
  const [passed = 0, failed = 0, skipped = 0] = (counts ?? []).slice(1).map(Number)
  return { passed, skipped, failed: status === 0 && counts ? failed : Math.max(failed, 1) }
}

const started = Date.now()
const parts: Readonly<Record<string, Count>> = {
  'unit and system tests': unit(),
  'conformance of ours': conformance(ours),
  'conformance of the reference': conformance(reference, '--known', 'reference'),
}
const sum = (key: keyof Count): number => Object.values(parts).reduce((total, part) => total + part[key], 0)
const line = ({ passed, failed, skipped }: Count): string => `${passed} passed, ${failed} failed, ${skipped} skipped`

console.log()
for (const [name, count] of Object.entries(parts)) console.log(`${name}: ${line(count)}`)
console.log(`took ${Math.round((Date.now() - started) / 1000)} s`)
console.log(`fairlead: ${line({ passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') })}`)
process.exitCode = sum('failed') > 0 ? 1 : 0
