// DEL and GC always get further: every step runs, and what failed is told at the end.
import { asCniError, CniError } from './errors.ts'

/** Runs steps one after another, whatever fails. */
export class Cleanup {
  readonly #failures: CniError[] = []

  /** Runs one step and remembers its failure. */
  attempt(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#failures.push(asCniError(error))
    }
  }

  /** @throws CniError the first failure, with the others in its details */
  finish(): void {
    const [first, ...others] = this.#failures
    if (first === undefined) return
    if (others.length === 0) throw first
    const further = others.filter(error => error.message !== first.message)
    const details = [first.details, ...further.map(error => `also: ${error.message}`)]
      .filter(text => text !== '').join('; ')
    throw new CniError(first.code, first.message, details, { cause: first })
  }
}
