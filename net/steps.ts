// Clearing away: what fails must not keep the rest from being tried.

/** Runs every step, also after one has failed. @throws the first error, when all have been tried */
export const runAll = (steps: readonly (() => void)[]): void => {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      step()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
