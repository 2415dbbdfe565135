// A process that stays should not keep what a moment took.

/** Gives memory back that a listing of thousands of hosts has taken; only one of the runtimes can be asked to. */
export const collectGarbage = (): void => {
  const { Bun } = globalThis as { readonly Bun?: { gc(force: boolean): void } }
  Bun?.gc(true)
}
