// The results as a Markdown table.
import { ratio } from './results.ts'
import type { Result, Verdict } from './results.ts'
import type { Summary } from './statistics.ts'

const nothing = '–'

/** A connection takes some hundredths of a millisecond. */
const precise = (value: number): string => value.toFixed(value < 1 ? 3 : 1)

/** Median and least. */
export const milliseconds = (summary: Summary | undefined): string =>
  summary ? [summary.median, summary.least].map(precise).join(' / ') : nothing

export const number = (value: number | undefined): string => value === undefined ? nothing : value.toFixed(2)

export const held = (value: number | undefined, bar: number | undefined): string =>
  value === undefined || bar === undefined ? nothing : value <= bar ? 'yes' : 'NO'

/** A line of a Markdown table. */
export const row = (cells: string[]): string => `| ${cells.join(' | ')} |`

function resultRow({ title, verb, bar, figures: { ours, peer, floor } }: Result): string {
  const walls = ratio(ours?.wall, peer?.wall)
  return row([
    title === verb ? verb : `${title}, ${verb === 'CONNECT' ? 'new connection' : verb}`,
    milliseconds(ours?.wall),
    milliseconds(peer?.wall),
    number(walls),
    number(ratio(ours?.cpu, peer?.cpu)),
    bar === undefined ? nothing : `≤ ${bar}`,
    held(walls, bar),
    milliseconds(floor?.wall),
  ])
}

function verdictRow({ title, ours, peer, bar, unit }: Verdict): string {
  const value = (figure: number | undefined): string => figure === undefined ? nothing : `${figure.toFixed(2)} ${unit}`
  const limit = bar === undefined ? nothing : `≤ ${bar} ${unit}`
  return row([title, value(ours), value(peer), limit, held(ours, bar)])
}

/** Two tables: each work side by side, then the bars that compare one row with another. */
export function markdown(results: Result[], verdicts: Verdict[], runs: number): string {
  return [
    `Milliseconds, median / least of ${runs} interleaved runs; a ratio below 1 means that ours is faster.`,
    '',
    row(['work', 'ours', 'peer', 'ratio', 'CPU ratio', 'bar', 'held', 'C floor']),
    row(['---', '--:', '--:', '--:', '--:', '--:', ':-:', '--:']),
    ...results.map(resultRow),
    '',
    row(['bar', 'ours', 'peer', 'at most', 'held']),
    row(['---', '--:', '--:', '--:', ':-:']),
    ...verdicts.map(verdictRow),
  ].join('\n')
}
