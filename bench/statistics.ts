// The few figures that describe a series of measurements.
import type { Cost } from './stopwatch.ts'

export interface Summary {
  median: number
  least: number
}

/** Median and least of a series that is not empty; undefined when a value is missing. */
export function summarize(values: (number | undefined)[]): Summary | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b)
  const [least] = sorted
  if (least === undefined || sorted.length < values.length) return undefined
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? least
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
  return { median, least }
}

/** Milliseconds per container, from the start of the first process to the end of the last. */
export function wall(costs: Cost[]): number {
  const start = Math.min(...costs.map((cost) => cost.start))
  const end = Math.max(...costs.map((cost) => cost.end))
  return (end - start) / costs.length
}

/** Milliseconds of processor time per container. */
export function cpu(costs: Cost[]): number | undefined {
  return costs.reduce<number | undefined>((sum, cost) => sum === undefined || cost.cpu === undefined
    ? undefined : sum + cost.cpu / costs.length, 0)
}

/** Peak resident memory of the largest process, MB. */
export function memory(costs: Cost[]): number | undefined {
  const values = costs.map((cost) => cost.memory).filter((value) => value !== undefined)
  return values.length < costs.length ? undefined : Math.max(...values)
}
