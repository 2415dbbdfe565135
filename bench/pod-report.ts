// The pods' results as a Markdown table.
import { phases } from './pod-arena.ts'
import type { PodCost, PodRound } from './pod-arena.ts'
import { summarize } from './statistics.ts'

/** Ours / peer, at most, over all phases together. */
const bar = 0.5

type Measure = (round: PodRound) => PodCost

const measures: Record<string, Measure> = {
  ...Object.fromEntries(phases.map((phase): [string, Measure] => [phase, (round) => round[phase]])),
  'create + stop + remove': (round) => phases.map((phase) => round[phase]).reduce((sum, { wall, cpu }) =>
    ({ wall: sum.wall + wall, cpu: sum.cpu + cpu })),
}

const median = (rounds: PodRound[], measure: Measure, what: keyof PodCost): number =>
  summarize(rounds.map((round) => measure(round)[what]))?.median ?? NaN

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1)

/** Rounds of ours, of the peer and of pods without a network of theirs, as one table. */
export function podMarkdown([ours = [], peer = [], none = []]: PodRound[][], pods: number): string {
  const rows = Object.entries(measures).map(([title, measure]) => {
    const [a, b, c] = [ours, peer, none].map((rounds) => ({
      wall: median(rounds, measure, 'wall'), cpu: median(rounds, measure, 'cpu'),
    })) as [PodCost, PodCost, PodCost]
    const [ratio, isTotal] = [a.wall / b.wall, title.includes('+')]
    const cells = [title, ...[a, b, c].map(({ wall }) => seconds(wall)), ratio.toFixed(2), (a.cpu / b.cpu).toFixed(2),
      isTotal ? `≤ ${bar}` : '–', !isTotal ? '–' : ratio <= bar ? 'yes' : 'NO']
    return `| ${cells.join(' | ')} |`
  })
  return [
    `Seconds for ${pods} pods at once, median of ${ours.length} interleaved runs.`,
    '',
    '| work | ours | peer | without CNI | ratio | CPU ratio | bar | held |',
    '| --- | --: | --: | --: | --: | --: | --: | :-: |',
    ...rows,
  ].join('\n')
}
