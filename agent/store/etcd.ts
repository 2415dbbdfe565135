// The store for clusters: etcd v3 (3.4 or later) through the JSON gateway that every member has.
import { Gateway, type Access } from './etcd-gateway.ts'
import { watchEtcd } from './etcd-watch.ts'
import { compareOf, found, rangeOf, readOf, requestOf, type Header, type TxnResponse } from './etcd-wire.ts'
import { latest } from './position.ts'
import type { Changes, Entry, Lease, Listing, Outcome, Position, Store } from './store.ts'
import { isTrouble, StoreError } from './store-error.ts'
import type { Condition, Operation } from './transaction.ts'

const revisionOf = ({ revision = '0' }: Header): number => Number(revision)

/** A store in an etcd cluster. */
export class Etcd implements Store {
  readonly #gateway: Gateway
  readonly #identityKey: string
  readonly #closing = new AbortController()

  /**
   * @param identityKey what this key holds is part of the store's identity, because etcd's own cluster id is the same
   * again after its data were wiped
   */
  constructor(access: Access, identityKey: string) {
    this.#gateway = new Gateway(access)
    this.#identityKey = identityKey
  }

  get name(): string { return this.#gateway.name }

  async list(prefix: string): Promise<Listing> {
    const answer = await this.#txn({ success: [{ request_range: rangeOf(prefix) }, readOf(this.#identityKey)] })
    const [entries = [], [own] = []] = found(answer)
    const anchor = latest(entries)
    return {
      identity: this.#identity(answer.header, own),
      revision: revisionOf(answer.header),
      entries,
      ...anchor === undefined ? {} : { anchor },
    }
  }

  watch(prefix: string, from: Position, signal: AbortSignal): AsyncIterable<Changes> {
    const ended = AbortSignal.any([signal, this.#closing.signal])
    return watchEtcd(this.#gateway, prefix, from, ended, () => this.#verify(from))
  }

  async commit(conditions: readonly Condition[], operations: readonly Operation[]): Promise<Outcome> {
    const keys = [...new Set(conditions.map(({ key }) => key))]
    const request = {
      compare: conditions.map(compareOf), success: operations.map(requestOf), failure: keys.map(key => readOf(key)),
    }
    const { header, succeeded = false, responses } = await this.#txn(request, 'once')
    const entries = succeeded ? [] : found({ header, responses: responses ?? [] }).flat()
    return { succeeded, revision: revisionOf(header), current: new Map(entries.map(entry => [entry.key, entry])) }
  }

  async lease(seconds: number): Promise<Lease> {
    const call = (path: string, body: object) => this.#gateway.call(`/v3/lease/${path}`, body, 'repeatable')
    const { ID: id } = await call('grant', { TTL: seconds }) as { ID: string }
    return {
      id,
      seconds,
      async keepAlive() {
        const { result } = await call('keepalive', { ID: id }) as { result?: { TTL?: string } }
        return result?.TTL !== undefined
      },
      async revoke() {
        await call('revoke', { ID: id }).catch(error => {
          if (!isTrouble(error, 'refused') || !error.message.includes('lease not found')) throw error
        })
      },
    }
  }

  close(): void {
    this.#closing.abort()
    this.#gateway.close()
  }

  async #txn(request: object, kind: 'repeatable' | 'once' = 'repeatable'): Promise<TxnResponse> {
    const answer = await this.#gateway.call('/v3/kv/txn', request, kind) as Partial<TxnResponse>
    if (answer.header === undefined) throw new StoreError('refused', `${this.name} does not answer as etcd does`)
    return answer as TxnResponse
  }

  #identity({ cluster_id }: Header, own: Entry | undefined): string { return `${cluster_id}/${own?.value ?? ''}` }

  /** Whether a position is one of this store's history. @throws StoreError */
  async #verify({ identity, revision, anchor }: Position): Promise<void> {
    const past = readOf(anchor?.key ?? this.#identityKey, revision)
    // etcd answers a revision that it has not reached, or has forgotten, with an error.
    const answer = await this.#txn({ success: [readOf(this.#identityKey), past] })
    const [[own] = [], [then] = []] = found(answer)
    if (this.#identity(answer.header, own) !== identity) throw new StoreError('stale', `${this.name} is another store`)
    if (anchor !== undefined && (then?.revision !== anchor.revision || then.value !== anchor.value))
      throw new StoreError('stale', `${this.name} was restored: it has another past`)
  }
}
