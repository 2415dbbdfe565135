// The way back of a failed ADD.

/** Steps to take back if the work fails, newest first. A failing step is reported; it never hides the first error. */
export class Undo {
  readonly #steps: { readonly what: string; readonly step: () => void }[] = []

  /** Registers how to take back what has just been done. */
  defer(what: string, step: () => void): void { this.#steps.push({ what, step }) }

  /** Takes everything back. @param report is told about each step that failed */
  run(report: (message: string) => void): void {
    for (const { what, step } of this.#steps.splice(0).reverse()) {
      try {
        step()
      } catch (error) {
        report(`undo of ${what}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
}
