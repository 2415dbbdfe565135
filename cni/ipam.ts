// The IPAM plugin that a configuration delegates to.
import { parsePrefix } from '#net/prefix.ts'
import { parseIp } from '#netlink/ip.ts'
import { CniError, codes, invalidConfig } from './errors.ts'
import { isObject, lookUp, type Json } from './json.ts'
import { readResult, type Result } from './result.ts'
import type { Verb } from './spec.ts'

/** How the IPAM plugin is called: as a process, or in this one when it is the very same executable. */
export interface Delegation {
  /** @throws CniError when there is no such plugin */
  find(type: string): void
  run(type: string, verb: Verb): Json | undefined
}

/** Refuses what no link could be given. @throws CniError 105 that names the value */
const sound = (type: string, result: Result): Result => {
  const wrong = (what: string, value: unknown): CniError =>
    new CniError(
      'delegateFailed',
      `IPAM plugin ${type} returned ${what} ${JSON.stringify(value)}`,
      'that is a fault of the plugin or of its configuration',
    )
  const isIp = (value: unknown): boolean => typeof value === 'string' && parseIp(value) !== undefined
  if (result.ips.length === 0) throw wrong('no address:', result.ips)
  for (const { address, gateway } of result.ips) {
    if (parsePrefix(address) === undefined) throw wrong('address', address)
    if (gateway !== undefined && !isIp(gateway)) throw wrong('gateway', gateway)
  }
  for (const { dst, gw } of result.routes) {
    if (parsePrefix(dst) === undefined) throw wrong('route dst', dst)
    if (gw !== undefined && !isIp(gw)) throw wrong('route gw', gw)
  }
  return result
}

/** ipam.type of a configuration, undefined when it names none. @throws CniError 7 */
export const ipamType = (raw: Json): string | undefined => {
  const ipam = lookUp(raw, 'ipam') ?? {}
  if (!isObject(ipam)) throw invalidConfig(`ipam ${JSON.stringify(ipam)} is no object`, 'give it a "type"')
  const type = lookUp(ipam, 'type') ?? ''
  if (typeof type !== 'string') {
    throw invalidConfig(`ipam.type ${JSON.stringify(type)} is no string`, 'name an IPAM plugin')
  }
  return type === '' ? undefined : type
}

/** The addresses of one invocation. Without a configured plugin every call does nothing. */
export class Ipam {
  readonly #type: string | undefined
  readonly #version: string
  readonly #delegation: Delegation

  constructor(type: string | undefined, version: string, delegation: Delegation) {
    this.#type = type
    this.#version = version
    this.#delegation = delegation
  }

  /** Whether the configuration names an IPAM plugin. Without one an attachment is layer 2 only. */
  get configured(): boolean { return this.#type !== undefined }

  /** Sees that the plugin is there, before anything is made that would have to be taken back. @throws CniError */
  find(): void { if (this.#type !== undefined) this.#delegation.find(this.#type) }

  /**
   * Leases addresses. A plugin that fails, or returns nothing usable, is told to release before the error goes on.
   * @returns undefined when none is configured
   * @throws CniError
   */
  add(): Result | undefined {
    const type = this.#type
    if (type === undefined) return undefined
    try {
      return sound(type, readResult(this.#delegation.run(type, 'ADD') ?? {}, this.#version))
    } catch (error) {
      // What the attachment has already is a living container's.
      if (error instanceof CniError && error.code === codes.alreadyAttached) throw error
      try { this.del() } catch { /* the first failure is the one to tell */ }
      throw error
    }
  }

  del(): void { this.#forward('DEL') }
  check(): void { this.#forward('CHECK') }
  status(): void { this.#forward('STATUS') }
  gc(): void { this.#forward('GC') }

  #forward(verb: Verb): void { if (this.#type !== undefined) this.#delegation.run(this.#type, verb) }
}
