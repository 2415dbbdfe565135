// All verdicts and the tally as one JSON document.

import type { Report } from '../report.ts'
import { tally } from '../verdict.ts'

export const json: Report = {
  begin: () => '',
  add: () => '',
  end: verdicts => `${JSON.stringify({ ...tally(verdicts), verdicts }, null, 2)}\n`,
}
