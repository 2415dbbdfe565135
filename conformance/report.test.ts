import { test } from 'tap'
import { reports } from './report.ts'
import type { Verdict } from './verdict.ts'

const base: Verdict = {
  id: 'A01', plugin: 'bridge', level: 'MUST', title: 'a <title> #1', outcome: 'pass', message: '', transcript: '',
  milliseconds: 12,
}
const known = { id: 'X1', reason: 'it is so' }
const failed: Verdict = { ...base, outcome: 'fail', message: 'two\nlines & more' }
const skipped: Verdict = { ...base, outcome: 'skip', message: 'why' }
const verdicts: Verdict[] = [base, failed, { ...failed, known }, { ...base, known }, skipped]

test('TAP has directives for skips and known deviations, and the tally in its last line', async t => {
  const points = verdicts.map((verdict, i) => reports.tap.add(verdict, i + 1))
  t.equal(points[0], 'ok 1 - A01 bridge: a <title> \\#1\n')
  t.match(points[1], /^not ok 2 - A01 bridge: a <title> \\#1\n  ---\n  level: MUST\n  message: \|\n    two\n    lines/)
  t.match(points[2], /^not ok 3 .* # TODO X1 it is so\n/)
  t.match(points[3], /^ok 4 .*\n# A01 bridge passes although X1 lists it\n/)
  t.equal(points[4], 'ok 5 - A01 bridge: a <title> \\#1 # SKIP why\n')
  t.match(reports.tap.end(verdicts), /\nconformance: 2 passed, 1 failed, 1 skipped\n$/)
})

test('JUnit escapes what XML reserves and counts known deviations as skipped', async t => {
  const xml = reports.junit.end(verdicts)
  t.match(xml, '<testsuite name="bridge" tests="5" failures="1" skipped="2">')
  t.match(xml, 'two\nlines &amp; more')
  t.match(xml, 'name="A01 a &lt;title&gt; #1"')
})

test('JSON has the tally and every verdict', async t => {
  const { failed, known, surprises, verdicts: all } = JSON.parse(reports.json.end(verdicts))
  t.same([failed, known, surprises, all.length], [1, 1, 1, 5])
})
