// `make test`: the tests beside the code and of the whole system, then conformance of our suite and, as a control of
// the runner, of the reference suite. Shows what failed and why anything was skipped, and ends with one line that
// counts all.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'

interface Count { passed: number; failed: number; skipped: number }

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

/** Test points of a TAP document that begin like this, each with its diagnosis, at most 40 lines. */
const points = (output: string, begins: RegExp): string[] => {
  const lines = output.split('\n')
  return lines.flatMap((line, at) => {
    if (!begins.test(line) || /# TODO/i.test(line)) return []
    const end = lines.slice(at + 1, at + 40).findIndex(next => /^\s*(\.\.\.$|ok |not ok )/.test(next))
    return [lines.slice(at, at + 1 + Math.max(end, 0)).join('\n')]
  })
}

const report = (output: string): void => {
  for (const point of points(output, /^\s*not ok /)) console.log(point)
  const reasons = new Map<string, number>()
  for (const [, reason = ''] of output.matchAll(/^\s*ok .*# SKIP ?(.*)$/gim)) {
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  for (const [reason, count] of [...reasons].sort()) console.log(`  skipped ${count}: ${reason || 'no reason given'}`)
}

/** The counts in a line such as `# { total: 5, pass: 4, skip: 1 }` or `conformance: 4 passed, 0 failed, 1 skipped`. */
const counted = (line: string | undefined, ok: boolean): Count => {
  const number = (word: RegExp): number => Number(word.exec(line ?? '')?.[1] ?? 0)
  const count = {
    passed: number(/pass: (\d+)|$/) || number(/(\d+) passed/),
    failed: number(/fail: (\d+)|$/) || number(/(\d+) failed/),
    skipped: number(/skip: (\d+)|$/) || number(/(\d+) skipped/),
  }
  return ok && line !== undefined ? count : { ...count, failed: Math.max(count.failed, 1) }
}

const unit = (): Count => {
  if (spawnSync('tap', ['build'], { stdio: 'ignore' }).status !== 0) throw new Error('tap build failed')
  const { ok, output } = run('tests', 'tap', ['--reporter=tap', '--jobs=2'])
  report(output)
  return counted(/^# \{ total:.*$/m.exec(output)?.[0], ok)
}

const conformance = (log: string, directory: string, ...options: string[]): Count => {
  const { ok, output } = run(log, process.execPath, ['conformance/main.ts', directory, ...options])
  report(output)
  return counted(/^conformance: .*$/m.exec(output)?.[0], ok)
}

const line = ({ passed, failed, skipped }: Count): string => `${passed} passed, ${failed} failed, ${skipped} skipped`

mkdirSync(logs, { recursive: true })
const parts: Readonly<Record<string, () => Count>> = {
  'tests of the code and of the whole': unit,
  'conformance of ours': () => conformance('conformance', ours),
  'conformance of the reference': () => conformance('control', reference, '--known', 'reference'),
}
const started = Date.now()
const total: Count = { passed: 0, failed: 0, skipped: 0 }
for (const [name, judge] of Object.entries(parts)) {
  const begun = Date.now()
  const count = judge()
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += count[key]
  console.log(`${name}: ${line(count)} (${Math.round((Date.now() - begun) / 1000)} s)`)
}
console.log(`took ${Math.round((Date.now() - started) / 1000)} s; everything that was said is in ${logs}`)
console.log(`fairlead: ${line(total)}`)
process.exitCode = total.failed > 0 ? 1 : 0
