// What is reported about one case and one plugin.

import type { Level } from './case.ts'

export type Outcome = 'pass' | 'fail' | 'skip'

export interface Verdict {
  readonly id: string
  readonly plugin: string
  readonly level: Level
  readonly title: string
  readonly outcome: Outcome
  /** Why it failed or was skipped; empty when it passed. */
  readonly message: string
  /** The last calls of a failed case. */
  readonly transcript: string
  readonly milliseconds: number
  /** The known deviation that this case and plugin are listed under. */
  readonly known?: { readonly id: string; readonly reason: string }
}

export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Failures that are listed as known deviations. */
  readonly known: number
  /** Listed deviations that were not seen. */
  readonly surprises: number
}

export const tally = (verdicts: readonly Verdict[]): Tally => {
  const count = (holds: (verdict: Verdict) => boolean): number => verdicts.filter(holds).length
  return {
    passed: count(({ outcome }) => outcome === 'pass'),
    failed: count(({ outcome, known }) => outcome === 'fail' && !known),
    skipped: count(({ outcome }) => outcome === 'skip'),
    known: count(({ outcome, known }) => outcome === 'fail' && known !== undefined),
    surprises: count(({ outcome, known }) => outcome === 'pass' && known !== undefined),
  }
}
