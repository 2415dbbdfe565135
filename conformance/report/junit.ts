// JUnit XML as continuous integration systems read it: one suite for each plugin.

import type { Report } from '../report.ts'
import { tally, type Verdict } from '../verdict.ts'

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;',
}

// XML 1.0 has no way to write most control characters.
const escape = (text: string): string =>
  text.replace(/[&<>"']/g, sign => entities[sign] ?? sign).replace(/[^\t\n\r\x20-\uFFFD]/g, '?')

const testcase = ({ id, plugin, title, level, outcome, message, transcript, milliseconds, known }: Verdict): string => {
  const time = (milliseconds / 1000).toFixed(3)
  const attributes = `classname="${escape(plugin)}.${level}" name="${escape(`${id} ${title}`)}" time="${time}"`
  if (outcome === 'pass') return `    <testcase ${attributes}/>`
  const body = outcome === 'skip' || known
    ? `<skipped message="${escape(known ? `${known.id} ${known.reason}` : message)}"/>`
    : `<failure message="${escape(message.split('\n')[0] ?? '')}">${escape(`${message}\n${transcript}`)}</failure>`
  return `    <testcase ${attributes}>${body}</testcase>`
}

const suite = (plugin: string, verdicts: readonly Verdict[]): string => {
  const { failed, skipped, known } = tally(verdicts)
  const counts = `tests="${verdicts.length}" failures="${failed}" skipped="${skipped + known}"`
  return `  <testsuite name="${escape(plugin)}" ${counts}>\n${verdicts.map(testcase).join('\n')}\n  </testsuite>`
}

export const junit: Report = {
  begin: () => '',
  add: () => '',
  end(verdicts) {
    const suites = Object.entries(Object.groupBy(verdicts, verdict => verdict.plugin))
    const body = suites.map(([plugin, all = []]) => suite(plugin, all)).join('\n')
    return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${body}\n</testsuites>\n`
  },
}
