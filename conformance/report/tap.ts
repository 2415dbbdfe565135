// TAP version 14 (testanything.org), one test point for each case and plugin.

import type { Report } from '../report.ts'
import { tally, type Verdict } from '../verdict.ts'

const indented = (text: string): string => text.trim().split('\n').map(line => `    ${line}`).join('\n')

// A number sign starts a directive.
const plain = (text: string): string => text.replace(/\s+/g, ' ').replaceAll('#', '\\#')

const diagnostics = ({ level, message, transcript }: Verdict): string => [
  '  ---', `  level: ${level}`, '  message: |', indented(message),
  ...(transcript ? ['  calls: |', indented(transcript)] : []), '  ...', '',
].join('\n')

const point = (verdict: Verdict, number: number): string => {
  const { id, plugin, title, outcome, message, known } = verdict
  const name = `${number} - ${id} ${plugin}: ${plain(title)}`
  if (outcome === 'skip') return `ok ${name} # SKIP ${plain(message)}\n`
  if (outcome === 'pass' && known) return `ok ${name}\n# ${id} ${plugin} passes although ${known.id} lists it\n`
  if (outcome === 'pass') return `ok ${name}\n`
  return `not ok ${name}${known ? ` # TODO ${known.id} ${plain(known.reason)}` : ''}\n${diagnostics(verdict)}`
}

export const tap: Report = {
  begin: count => `TAP version 14\n1..${count}\n`,
  add: point,
  end(verdicts) {
    const { passed, failed, skipped, known, surprises } = tally(verdicts)
    const surprised = verdicts.filter(verdict => verdict.outcome === 'pass' && verdict.known)
    return [
      ...(known ? [`# known deviations: ${known}`] : []),
      ...(surprises ? [`# listed as known deviations but passing: ${surprises}`] : []),
      ...surprised.map(verdict => `#   ${verdict.known?.id} ${verdict.id} ${verdict.plugin}`),
      `conformance: ${passed} passed, ${failed} failed, ${skipped} skipped`, '',
    ].join('\n')
  },
}
