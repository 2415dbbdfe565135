// The IPAM plugin that a configuration delegates to.
import { CniError, invalidConfig } from './errors.ts'
import { isObject, lookUp, type Json } from './json.ts'
import { readResult, type Result } from './result.ts'
import type { Verb } from './spec.ts'

/** How the IPAM plugin is called: as a process, or in this one when it is the very same executable. */
export type RunDelegate = (type: string, verb: Verb) => Json | undefined

/** ipam.type of a configuration, undefined when it names none. @throws CniError 7 */
export const ipamType = (raw: Json): string | undefined => {
  const ipam = lookUp(raw, 'ipam') ?? {}
  if (!isObject(ipam)) throw invalidConfig(`ipam ${JSON.stringify(ipam)} is no object`, 'give it a "type"')
  const type = lookUp(ipam, 'type') ?? ''
  if (typeof type !== 'string') throw invalidConfig(`ipam.type ${JSON.stringify(type)} is no string`, 'name an IPAM plugin')
  return type === '' ? undefined : type
}

/** The addresses of one invocation. Without a configured plugin every call does nothing. */
export class Ipam {
  readonly #type: string | undefined
  readonly #version: string
  readonly #run: RunDelegate

  constructor(type: string | undefined, version: string, run: RunDelegate) {
    this.#type = type
    this.#version = version
    this.#run = run
  }

  /** Whether the configuration names an IPAM plugin. Without one an attachment is layer 2 only. */
  get configured(): boolean { return this.#type !== undefined }

  /**
   * Leases addresses. A plugin that fails, or returns nothing usable, is told to release before the error goes on.
   * @returns undefined when none is configured
   * @throws CniError
   */
  add(): Result | undefined {
    const type = this.#type
    if (type === undefined) return undefined
    try {
      const result = readResult(this.#run(type, 'ADD') ?? {}, this.#version)
      if (result.ips.length === 0) throw new CniError('delegateFailed', `IPAM plugin ${type} returned no address`, 'an attachment with ipam needs one')
      return result
    } catch (error) {
      try { this.del() } catch { /* the first failure is the one to tell */ }
      throw error
    }
  }

  del(): void { this.#forward('DEL') }
  check(): void { this.#forward('CHECK') }
  status(): void { this.#forward('STATUS') }
  gc(): void { this.#forward('GC') }

  #forward(verb: Verb): void { if (this.#type !== undefined) this.#run(this.#type, verb) }
}
