// The overlay's figures as Markdown tables.
import type { Attachments } from './overlay-attach.ts'
import type { Crowd } from './overlay-crowd.ts'
import { pathNames } from './overlay-paths.ts'
import type { Reach } from './overlay-reach.ts'
import type { Traffic } from './overlay-traffic.ts'
import { held, milliseconds, number, row } from './report.ts'
import { cpu, summarize, wall } from './statistics.ts'
import type { Summary } from './statistics.ts'

/** Upper limits of what the overlay is to take. */
const bars = { reach: 100, programmed: 500, memory: 80, attachment: 1.3 }

type Line = [title: string, values: number[], bar?: number]

/** Absolute figures with their bars; `unit` is that of all of them. */
function absolute(unit: string, lines: Line[]): string {
  return [
    row([unit, 'median / least', 'most', 'bar', 'held']),
    row(['---', '--:', '--:', '--:', ':-:']),
    ...lines.map(([title, values, bar]) => {
      const summary = summarize(values)
      const limit = bar === undefined ? '–' : `≤ ${bar}`
      return row([title, milliseconds(summary), Math.max(...values).toFixed(1), limit, held(summary?.median, bar)])
    }),
  ].join('\n')
}

export const reachMarkdown = ({ joined, started, memory }: Reach, hosts: number): string => [
  `Until a new host is reachable from all ${hosts - 1} others, ${joined.length} times; ` +
    `an agent among ${hosts} hosts takes at most ${memory.toFixed(0)} MB.`,
  '',
  absolute('ms', [
    ['from asking its agent for a part in the network', joined, bars.reach],
    ['from the start of its agent\'s process', started],
  ]),
].join('\n')

export const crowdMarkdown = (crowd: Crowd, hosts: number): string => [
  `One agent among ${hosts.toLocaleString('en')} hosts, ${crowd.cold.length} rounds.`,
  '',
  absolute('ms', [
    ['started with an empty kernel, until all are listed and programmed', crowd.cold, bars.programmed],
    ['processor time of the agent until then', crowd.coldCpu],
    ['running, asked for a part in the network: block claimed and all programmed', crowd.joined, bars.programmed],
    ['started with everything in place, until it is a member and has compared all', crowd.restarted],
    ['one block more in the store, until it is programmed', crowd.change],
  ]),
  '',
  absolute('MB', [
    ['resident, 3 s after the start', crowd.memory, bars.memory],
    ['the most that it ever was', crowd.peak],
  ]),
].join('\n')

export function attachMarkdown({ overlay, bridge }: Attachments): string {
  const rows = (['ADD', 'DEL'] as const).map((verb) => {
    const summaries = [overlay, bridge].map((costs) => ({
      wall: summarize(costs[verb].map((cost) => wall([cost]))),
      cpu: summarize(costs[verb].map((cost) => cpu([cost]))),
    }))
    const [ours, others] = summaries
    const over = (what: 'wall' | 'cpu', of: keyof Summary): number | undefined => {
      const [a, b] = [ours?.[what], others?.[what]]
      return a && b && a[of] / b[of]
    }
    const bar = verb === 'ADD' ? bars.attachment : undefined
    return row([verb, milliseconds(ours?.wall), milliseconds(others?.wall), number(over('wall', 'median')),
      number(over('wall', 'least')), number(over('cpu', 'median')), bar === undefined ? '–' : `≤ ${bar}`,
      held(over('wall', 'median'), bar)])
  })
  return [
    `Milliseconds, median / least of ${overlay.ADD.length} interleaved runs; ratios are overlay / bridge.`,
    '',
    row(['verb', 'overlay', 'bridge + host-local', 'ratio', 'of the least', 'CPU ratio', 'bar', 'held']),
    row(['---', '--:', '--:', '--:', '--:', '--:', '--:', ':-:']),
    ...rows,
  ].join('\n')
}

/** Median, and the most: what the machine's other work has taken least from. */
const rate = (values: number[]): string =>
  `${summarize(values)?.median.toFixed(1) ?? '–'} / ${Math.max(...values).toFixed(1)}`

/** The median of the ratios of each round. */
function against(ours: number[], others: number[]): string {
  return number(summarize(ours.map((value, i) => value / (others[i] ?? NaN)))?.median)
}

export function trafficMarkdown(traffic: Traffic): string {
  const rounds = Object.values(traffic)[0]?.overlay.length ?? 0
  return [
    `Median / most of ${rounds} interleaved rounds; a ratio is the median of those of the rounds, and above 1 the ` +
      'overlay carries more.',
    '',
    row(['', ...pathNames, 'overlay / flannel', 'overlay / routed']),
    row(['---', ...pathNames.map(() => '--:'), '--:', '--:']),
    ...Object.entries(traffic).map(([title, series]) => row([
      title, ...pathNames.map((name) => rate(series[name])), against(series.overlay, series.flannel),
      against(series.overlay, series.routed),
    ])),
  ].join('\n')
}
