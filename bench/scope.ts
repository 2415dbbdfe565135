// What is undone when a measurement is over, whatever became of it.

/** As a test has it: steps are taken in reverse order. */
export interface Scope {
  teardown: (step: () => unknown) => void
}

/** Runs `work` and then takes its steps back. */
export async function scoped<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const steps: (() => unknown)[] = []
  try {
    return await work({ teardown: (step) => { steps.unshift(step) } })
  } finally {
    for (const step of steps) await step()
  }
}
