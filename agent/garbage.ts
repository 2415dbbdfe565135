// Gives memory back that a look at thousands of hosts has taken. Only one of the runtimes can be asked to.

/** What has been looked at is in use for a moment yet, and the process stands still meanwhile. In milliseconds. */
const AFTER = 2_000

const collect = (): void => {
  const { Bun } = globalThis as { readonly Bun?: { gc(force: boolean): void } }
  Bun?.gc(true)
}

let timer: NodeJS.Timeout | undefined

/** Two seconds after it was last called for. */
export const collectSoon = (): void => {
  if (timer === undefined) timer = setTimeout(collect, AFTER).unref()
  else timer.refresh()
}
