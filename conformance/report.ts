// The formats in which verdicts are reported.

import { json } from './report/json.ts'
import { junit } from './report/junit.ts'
import { tap } from './report/tap.ts'
import type { Verdict } from './verdict.ts'

/** Each part returns the text to print, in the order in which they are called. */
export interface Report {
  begin(count: number): string
  add(verdict: Verdict, number: number): string
  end(verdicts: readonly Verdict[]): string
}

export const formats = ['tap', 'junit', 'json'] as const
export type Format = (typeof formats)[number]

export const reports: Readonly<Record<Format, Report>> = { tap, junit, json }
