// Keeps this host a member of its cluster: joins, gives signs of life, joins again when the store has forgotten it.
import { setTimeout } from 'node:timers/promises'
import { foundCluster, HoldDown, settle } from './cluster.ts'
import { ClockWatch } from './clock-watch.ts'
import { collectSoon } from './garbage.ts'
import { becomeJanitor, sweep } from './janitor.ts'
import { ALIVE_FOR, join, publish, stayAlive } from './membership.ts'
import { OverlayError } from './overlay-error.ts'
import type { OverlayHost } from './overlay-host.ts'
import { written } from './records.ts'
import { isLocal } from './store-choice.ts'
import { Backoff } from './store/backoff.ts'
import type { Lease, Listing, Store } from './store/store.ts'
import { isExcused } from './store/store-error.ts'

/** In one line, for the log and for whoever is refused because of it. */
const wordsOf = (error: unknown): string => {
  if (error instanceof OverlayError && error.advice !== '') return `${error.message}: ${error.advice}`
  return error instanceof Error ? error.message : String(error)
}

export class MembershipKeeper {
  readonly #here: OverlayHost
  readonly #store: Store
  readonly #signal: AbortSignal
  readonly #holdDown = new HoldDown()
  readonly #clock = new ClockWatch()
  #lease: Lease | undefined
  /** When the store last had a sign of life of ours, by a clock that is never set. */
  #lastSign = -Infinity
  /** The revision of the store at which this host has joined. */
  #joined = 0
  #published = ''
  #said = ''
  /** Whether another machine has this host's name. */
  #isTwin = false
  #obstacle: string | undefined = 'this host has not joined its cluster yet'
  #wake = new AbortController()
  readonly #begun = Promise.withResolvers<void>()
  #hasBegun = false
  /** What the store held when it was asked first; let go of at once, because it is large. */
  #listing: Listing | undefined

  constructor(here: OverlayHost, store: Store, signal: AbortSignal) {
    this.#here = here
    this.#store = store
    this.#signal = signal
  }

  /** Why this host is no member, or cannot say that it is alive. */
  get obstacle(): string | undefined { return this.#obstacle }

  /** Has it join, now that the store has answered or does not. @param listing spares the store another one */
  begin(listing?: Listing): void {
    if (!this.#hasBegun) this.#listing = listing
    this.#hasBegun = true
    this.#begun.resolve()
  }

  /** From `begin` until it is told to stop. */
  async run(): Promise<void> {
    const backoff = new Backoff()
    await this.#begun.promise
    while (!this.#signal.aborted) {
      try {
        if (this.#here.drained === undefined || this.#isTwin) {
          if (this.#here.member === undefined) await this.#join()
          else this.#lease = await stayAlive(this.#here.member, this.#lease!)
          this.#lastSign = performance.now()
          this.#here.files.confirm(Object.keys(this.#here.shares))
        }
        this.#obstacle = undefined
        this.#said = ''
        backoff.reset()
        await this.#pause(1000 * ALIVE_FOR / 3)
      } catch (error) {
        this.#meet(error)
        await this.#pause(backoff.next())
      }
    }
  }

  /** Looks at once instead of at the next turn. */
  hurry(): void { this.#wake.abort() }

  /** The store has forgotten this host. */
  joinAgain(): void {
    this.#here.leaveCluster()
    this.hurry()
  }

  /**
   * The record of this host was removed. When the host was alive, somebody meant it; after a long silence it was the
   * janitor, and the host comes back.
   * @param revision of the removal: one of before this host has joined says nothing
   */
  removed(revision: number): void {
    const joined = this.#here.member?.record.revision ?? this.#joined
    if (revision < joined || this.#here.drained !== undefined) return
    if (performance.now() - this.#lastSign > 1000 * ALIVE_FOR) return this.joinAgain()
    this.#lease = undefined
    this.#here.drain('it was removed from the cluster')
    this.#here.say('this host was removed from the cluster: it hands out no addresses until the agent is restarted')
  }

  /** What has to be done from time to time by one host, or when everybody has had the time to come back. */
  async tend(): Promise<void> {
    const { member, settings, picture } = this.#here
    if (member === undefined || this.#lease === undefined) return
    const left = this.#holdDown.seen(picture.cluster, performance.now())
    if (left === 0) await settle(this.#store, member.cluster)
    if (!await becomeJanitor(this.#store, member.host, this.#lease)) return
    const isClockSet = this.#clock.isSet(Date.now(), performance.now())
    for (const host of await sweep(this.#store, member.host, Date.now(), settings.gracePeriod, isClockSet))
      this.#here.say(`host ${host} was silent for ${settings.gracePeriod / 1000} s and is removed`)
  }

  /** Tells the others where this host is now, unless they know. @throws OverlayError, StoreError: try again */
  async publish(): Promise<void> {
    const { member } = this.#here
    const { facts } = this.#here
    if (member === undefined || written(facts) === this.#published) return
    await publish(member, facts)
    this.#published = written(facts)
  }

  /** What decides, beside the picture, what is to be in the kernel. */
  get #own(): string { return JSON.stringify([this.#here.shares, this.#here.drained]) }

  async #join(): Promise<void> {
    const { settings, keeper } = this.#here
    if (isLocal(settings)) await foundCluster(this.#store)
    const listing = isLocal(settings) ? undefined : this.#listing
    this.#listing = undefined
    const { facts } = this.#here
    const own = this.#own
    const { member, lease } = await join(this.#store, keeper, settings.hostId, facts, { listing })
    this.#lease = lease
    this.#published = written(facts)
    this.#joined = member.record.revision
    this.#isTwin = false
    this.#here.admit(member)
    // With what was this host's own everything is in step, and comparing thousands of entries again takes its time.
    if (this.#own !== own) this.#here.unheard(() => this.#here.syncAll())
    collectSoon()
    this.#here.say(`host ${member.host} is a member of cluster ${member.cluster}`)
    for (const [name, { blocks, lost }] of Object.entries(member.memory.shares)) {
      this.#here.say(`network ${name}: ${blocks.join(', ') || 'no blocks'}`)
      if (lost.length > 0) this.#here.say(`network ${name}: other hosts have ${lost.join(', ')} of before`)
    }
  }

  #meet(error: unknown): void {
    if (!isExcused(error)) throw error
    this.#obstacle = wordsOf(error)
    if (this.#obstacle !== this.#said) this.#here.say(this.#obstacle)
    this.#said = this.#obstacle
    // If it was removed on purpose, the watch says so before the next attempt.
    if (error instanceof OverlayError) this.#here.leaveCluster()
    // What it has is the other one's, whose copy it may be: it tries again, and gives out nothing meanwhile.
    this.#isTwin = error instanceof OverlayError && error.obstacle === 'host-taken'
    if (this.#isTwin) this.#here.drain(this.#obstacle)
  }

  async #pause(milliseconds: number): Promise<void> {
    const signal = AbortSignal.any([this.#signal, this.#wake.signal])
    await setTimeout(milliseconds, undefined, { signal }).catch(() => undefined)
    this.#wake = new AbortController()
  }
}
