// From rounds to rows: medians, ratios and whether each bar holds.
import type { Round } from './arena.ts'
import { cpu, memory, summarize, wall } from './statistics.ts'
import type { Summary } from './statistics.ts'
import type { Subject } from './subject.ts'
import type { Verb, Workload } from './workloads.ts'

export interface Figures {
  /** Milliseconds per container. */
  wall: Summary
  cpu: Summary | undefined
  /** MB. */
  memory: Summary | undefined
}

export type Who = Subject['name']

/** One verb of one workload, for every subject. */
export interface Result {
  workload: string
  title: string
  verb: Verb
  bar: number | undefined
  figures: Partial<Record<Who, Figures>>
}

/** A bar that is not simply ours / peer. */
export interface Verdict {
  title: string
  ours: number
  peer: number | undefined
  bar: number | undefined
  unit: string
}

function figuresOf(rounds: Round[], verb: Verb): Figures | undefined {
  const costs = rounds.map((round) => round[verb]).filter((cost) => cost !== undefined)
  const walls = summarize(costs.map(wall))
  return walls && { wall: walls, cpu: summarize(costs.map(cpu)), memory: summarize(costs.map(memory)) }
}

/** The rows of one workload. */
export function resultsOf(workload: Workload, rounds: Map<Who, Round[]>): Result[] {
  return workload.verbs.map((verb) => {
    const figures: Result['figures'] = {}
    for (const [who, series] of rounds) {
      const found = figuresOf(series, verb)
      if (found) figures[who] = found
    }
    return { workload: workload.name, title: workload.title, verb, bar: workload.bars[verb], figures }
  })
}

/** a / b of medians, where both were measured. */
export function ratio(a: Summary | undefined, b: Summary | undefined): number | undefined {
  return a && b && a.median / b.median
}

/** The bars that compare rows with one another or with the floor; only those whose rows were measured. */
export function verdictsOf(results: Result[]): Verdict[] {
  const figures = (workload: string, verb: Verb, who: Who): Figures | undefined =>
    results.find((result) => result.workload === workload && result.verb === verb)?.figures[who]
  const growth = (who: Who, from: string, to: string, verb: Verb = 'ADD'): number | undefined =>
    ratio(figures(to, verb, who)?.wall, figures(from, verb, who)?.wall)
  const single = results.filter((result) => result.workload !== 'crowd')
  const peak = (who: Who): number | undefined => {
    const peaks = single.map((result) => result.figures[who]?.memory?.median).filter((value) => value !== undefined)
    return peaks.length > 0 ? Math.max(...peaks) : undefined
  }
  const verdicts: (Omit<Verdict, 'ours'> & { ours: number | undefined })[] = [
    {
      title: 'bridge + host-local ADD / C floor',
      ours: ratio(figures('bridge', 'ADD', 'ours')?.wall, figures('bridge', 'ADD', 'floor')?.wall),
      peer: ratio(figures('bridge', 'ADD', 'peer')?.wall, figures('bridge', 'ADD', 'floor')?.wall),
      bar: 3,
      unit: '×',
    },
    {
      title: 'host-local ADD at 4,000 taken / at 100',
      ours: growth('ours', 'lease-100', 'lease-4000'),
      peer: growth('peer', 'lease-100', 'lease-4000'),
      bar: 2,
      unit: '×',
    },
    {
      title: 'bridge + ipMasq ADD at 1,000 attached / at 10',
      ours: growth('ours', 'grown-10', 'grown-1000'),
      peer: growth('peer', 'grown-10', 'grown-1000'),
      bar: 1.3,
      unit: '×',
    },
    {
      title: 'bridge + ipMasq + portmap ADD at 1,000 published / at 10',
      ours: growth('ours', 'published-10', 'published-1000'),
      peer: growth('peer', 'published-10', 'published-1000'),
      bar: 1.3,
      unit: '×',
    },
    {
      title: 'new connection at 1,000 published / at 10',
      ours: growth('ours', 'published-10', 'published-1000', 'CONNECT'),
      peer: growth('peer', 'published-10', 'published-1000', 'CONNECT'),
      bar: undefined,
      unit: '×',
    },
    { title: 'peak memory of one call', ours: peak('ours'), peer: peak('peer'), bar: 45, unit: 'MB' },
  ]
  return verdicts.flatMap((verdict) => verdict.ours === undefined ? [] : [{ ...verdict, ours: verdict.ours }])
}
