// One network as the store has it: whose which of its addresses are.
import type { Share } from './memory.ts'
import type { NetworkConfig } from './network.ts'
import { blockAround } from './range.ts'
import type { StaticRecord } from './records.ts'

/** Whose a prefix is. */
export interface Claim { readonly host: string; readonly prefix: string }

export class NetworkPicture {
  config: NetworkConfig | undefined
  readonly statics = new Map<string, StaticRecord>()
  readonly #claims = new Map<string, Claim>()
  readonly #byHost = new Map<string, Set<string>>()

  /** What is behind a host. */
  prefixesOf(host: string): readonly string[] { return [...this.#byHost.get(host) ?? []] }

  /** Addresses of a host's blocks that containers of other hosts have. */
  guestsOf(host: string, { config, blocks }: Pick<Share, 'config' | 'blocks'>): readonly string[] {
    return this.statics.values().filter(record => record.host !== host && record.granted === true)
      .map(({ ip }) => ip).filter(ip => blocks.includes(blockAround(config, ip) ?? '')).toArray()
  }

  get hosts(): IterableIterator<string> { return this.#byHost.keys() }

  ownerOf(key: string): string | undefined { return this.#claims.get(key)?.host }

  /** Notes whose a prefix is; undefined when it is nobody's. */
  note(key: string, claim: Claim | undefined): void {
    const before = this.#claims.get(key)
    if (before) {
      const known = this.#byHost.get(before.host)
      known?.delete(before.prefix)
      if (known?.size === 0) this.#byHost.delete(before.host)
      this.#claims.delete(key)
    }
    if (claim === undefined) return
    this.#claims.set(key, claim)
    const own = this.#byHost.get(claim.host)
    if (own) own.add(claim.prefix)
    else this.#byHost.set(claim.host, new Set([claim.prefix]))
  }
}
