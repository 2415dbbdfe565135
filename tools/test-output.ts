// Reading what tests and the conformance runner print: TAP, with counts in one line. testanything.org.
export interface Count { passed: number; failed: number; skipped: number }

/** Test points of a TAP document that begin like this, each with its diagnosis, at most 40 lines. */
const points = (output: string, begins: RegExp): string[] => {
  const lines = output.split('\n')
  return lines.flatMap((line, at) => {
    if (!begins.test(line) || /# TODO/i.test(line)) return []
    const diagnosis = lines.slice(at + 1, at + 40)
    const end = diagnosis.findIndex(next => /^\s*(\.\.\.$|ok |not ok )/.test(next))
    return [[line, ...end < 0 ? diagnosis : diagnosis.slice(0, end)].join('\n')]
  })
}

/** Prints what failed in a TAP document, and why anything was skipped. */
export const report = (output: string): void => {
  for (const point of points(output, /^\s*not ok /)) console.log(point)
  const reasons = new Map<string, number>()
  for (const [, reason = ''] of output.matchAll(/^\s*ok .*# SKIP ?(.*)$/gim)) {
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  for (const [reason, count] of [...reasons].sort()) console.log(`  skipped ${count}: ${reason || 'no reason given'}`)
}

/**
 * The counts in a line such as `# { total: 5, pass: 4, skip: 1 }` or `conformance: 4 passed, 0 failed, 1 skipped`.
 * @param ok whether the program that printed it succeeded; if not, at least one failure is counted
 */
export const counted = (line: string | undefined, ok: boolean): Count => {
  const number = (word: RegExp): number => Number(word.exec(line ?? '')?.[1] ?? 0)
  const count = {
    passed: number(/pass: (\d+)|$/) || number(/(\d+) passed/),
    failed: number(/fail: (\d+)|$/) || number(/(\d+) failed/),
    skipped: number(/skip: (\d+)|$/) || number(/(\d+) skipped/),
  }
  return ok && line !== undefined ? count : { ...count, failed: Math.max(count.failed, 1) }
}

/** The last line of such a summary. */
export const summary = (output: string): string | undefined =>
  output.match(/^(# \{ total:|conformance: ).*$/gm)?.at(-1)

export const sum = (counts: readonly Count[]): Count => {
  const total: Count = { passed: 0, failed: 0, skipped: 0 }
  for (const count of counts) for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += count[key]
  return total
}

export const inWords = ({ passed, failed, skipped }: Count): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`
