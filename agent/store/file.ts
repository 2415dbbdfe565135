// The store for one machine, with nothing to install: a directory that several processes share.
import { watch as watchDirectory } from 'node:fs'
import { pause } from './backoff.ts'
import {
  changesSince, emptyState, ended, listed, transacted, withLease, withoutLeases, type State,
} from './file-state.ts'
import { StoreDirectory } from './store-directory.ts'
import type { Changes, Lease, Listing, Outcome, Position, Store } from './store.ts'
import { StoreError } from './store-error.ts'
import type { Condition, Operation } from './transaction.ts'
import { readRandom, readText } from '#sys/file.ts'

/** How often leases are looked at, and changes where the kernel does not tell of them. In milliseconds. */
const [TICK, SHORT_TICK] = [1000, 100]

const randomId = (): string => Buffer.from(readRandom(8)).toString('hex')

/** Seconds since the machine was started: the same for all processes, and nobody sets it. proc(5) */
const uptime = (): number => parseFloat(readText('/proc/uptime') ?? '0')

const bare = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** A store in a directory. */
export class FileStore implements Store {
  readonly #directory: StoreDirectory
  readonly #closing = new AbortController()
  #text: string | undefined
  #state: State | undefined

  constructor(path: string) { this.#directory = new StoreDirectory(path) }

  get name(): string { return `directory ${this.#directory.path}` }

  async list(prefix: string): Promise<Listing> { return listed(this.#update(state => state), prefix) }

  async commit(conditions: readonly Condition[], operations: readonly Operation[]): Promise<Outcome> {
    let outcome: Outcome | undefined
    this.#update(before => {
      const { state, outcome: made } = transacted(before, conditions, operations)
      outcome = made
      return state
    })
    return outcome!
  }

  async *watch(prefix: string, from: Position, signal: AbortSignal): AsyncGenerator<Changes, void> {
    const until = AbortSignal.any([signal, this.#closing.signal])
    let ring = new AbortController()
    let tick = TICK
    const watcher = this.#watcher(() => { ring.abort() })
    if (watcher === undefined) tick = SHORT_TICK
    try {
      let changes = changesSince(this.#read(), prefix, from)
      for (let first = true; !until.aborted; first = false) {
        if (first || changes.events.length > 0) yield changes
        await pause(tick, AbortSignal.any([until, ring.signal]))
        ring = new AbortController()
        if (!until.aborted) changes = changesSince(this.#read(), prefix, changes.position)
      }
    } finally {
      watcher?.close()
    }
  }

  async lease(seconds: number): Promise<Lease> {
    const id = randomId()
    this.#update(state => withLease(state, id, seconds, uptime()))
    return {
      id,
      seconds,
      keepAlive: async () => {
        const renewed = (state: State): State =>
          state.leases[id] === undefined ? state : withLease(state, id, seconds, uptime())
        return this.#update(renewed).leases[id] !== undefined
      },
      revoke: async () => { this.#update(state => withoutLeases(state, [id])) },
    }
  }

  close(): void { this.#closing.abort() }

  /** Tells of changes of the directory, unless the kernel has no more room for that. */
  #watcher(changed: () => void) {
    try {
      const watcher = watchDirectory(this.#directory.path, changed)
      watcher.on('error', changed)
      return watcher
    } catch {
      return undefined
    }
  }

  /** The state without what has run out. @throws StoreError */
  #read(): State {
    const state = this.#current()
    if (state === undefined) throw new StoreError('stale', `${this.name} is gone`)
    const outdated = Object.keys(state.leases).length > 0 && ended(state, uptime()).length > 0
    return outdated ? this.#update(now => now) : state
  }

  #current(): State | undefined {
    const text = this.#directory.read()
    if (text === undefined) return undefined
    if (text !== this.#text) {
      this.#state = this.#parsed(text)
      this.#text = text
    }
    return this.#state
  }

  #parsed(text: string): State {
    try {
      return JSON.parse(text) as State
    } catch (error) {
      throw new StoreError('refused', `${this.name}: store.json is no JSON (${bare(error)}): restore or remove it`)
    }
  }

  /** Changes the state in one step, and leaves the disk alone when nothing changes. @throws StoreError */
  #update(step: (state: State) => State): State {
    try {
      return this.#directory.alone(() => {
        const known = this.#current()
        const begun = known ?? emptyState(randomId())
        const now = Object.keys(begun.leases).length > 0 ? uptime() : 0
        const next = step(withoutLeases(begun, ended(begun, now)))
        if (next !== known) {
          const text = JSON.stringify(next)
          this.#directory.replace(text)
          this.#text = text
          this.#state = next
        }
        return next
      })
    } catch (error) {
      if (error instanceof StoreError) throw error
      throw new StoreError('refused', `${this.name}: ${bare(error)}`, { cause: error })
    }
  }
}
