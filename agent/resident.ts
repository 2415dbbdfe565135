// The resident agent: follows the store, keeps the kernel in step, answers the plugin. When it dies, or the store does,
// everything that is in the kernel stays as it is.
import { setTimeout } from 'node:timers/promises'
import { Namespace } from '#net/namespace.ts'
import { Monitor, type Announcement } from '#netlink/route/monitor.ts'
import { PROTOCOL } from '#net/overlay-sync.ts'
import { socketPath, type Request } from '#cni/cluster/agent-socket.ts'
import { ChecksumWatch } from './checksum-watch.ts'
import { CLAIM_HOLD_DOWN, clusterIn } from './cluster.ts'
import { collectSoon } from './garbage.ts'
import { clusterKey, hosts, root } from './layout.ts'
import { listen } from './line-server.ts'
import { metricsOf } from './health.ts'
import { MembershipKeeper } from './membership-keeper.ts'
import { serveMetrics, type Health } from './metrics.ts'
import { OverlayHost } from './overlay-host.ts'
import { answerTo, leave, tendStatics } from './requests.ts'
import { releaseUnused } from './statics-upkeep.ts'
import type { Settings } from './settings.ts'
import { openStore } from './store-choice.ts'
import { follow } from './store/follow.ts'
import type { Changes, Listing, Store } from './store/store.ts'
import { isExcused, isTrouble } from './store/store-error.ts'

/** How often the kernel's announcements are read, which costs one system call. In milliseconds, as all of these. */
const LISTEN_EVERY = 200
/** Mending looks at everything, so not at each of many announcements. */
const MEND_AFTER = 300
const MEND_EVERY = 30_000
const TEND_EVERY = 5_000

const wordsOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

export class Resident {
  readonly here: OverlayHost
  readonly #store: Store
  readonly #membership: MembershipKeeper
  readonly #monitor: Monitor
  readonly #checksums: ChecksumWatch
  readonly #signal: AbortSignal
  /** Why the store cannot be followed. */
  #trouble: string | undefined
  #hasListed = false
  /** Whether the store is that of another cluster. */
  #isForeign = false
  /** When the store may have lost something. */
  #doubtSince = 0
  /** When somebody else's change was noticed that has not been looked at. */
  #disturbed: number | undefined

  constructor(settings: Settings, signal: AbortSignal, say: (line: string) => void) {
    this.here = new OverlayHost(settings, Namespace.host(), say)
    this.#store = openStore(settings)
    this.#signal = signal
    this.#membership = new MembershipKeeper(this.here, this.#store, signal)
    this.#monitor = new Monitor()
    this.#checksums = new ChecksumWatch(this.here)
    this.here.unheard = step => {
      this.#hear()
      const result = step()
      this.#ignore()
      return result
    }
  }

  get obstacle(): string | undefined { return this.here.drained ?? this.#trouble ?? this.#membership.obstacle }

  /** Works until `signal` is aborted. */
  async run(): Promise<void> {
    const { settings } = this.here
    this.here.unheard(() => { this.here.restore() })
    this.#checksums.begin()
    const answer = (request: Request) => answerTo(this.here, request, () => this.#trouble ?? this.#membership.obstacle)
    const socket = await listen(socketPath(settings.runDirectory), answer)
    const servers: { close(): void }[] = [socket]
    if (settings.metrics !== undefined) servers.push(await serveMetrics(settings.metrics, () => this.#health()))
    try {
      await Promise.all([this.#membership.run(), this.#follow(), this.#mend(), this.#tend(socket.listenAgain)])
    } finally {
      for (const server of servers) server.close()
      this.#store.close()
      this.#monitor[Symbol.dispose]()
      this.#checksums[Symbol.dispose]()
    }
  }

  async #follow(): Promise<void> {
    for await (const update of follow(this.#store, root, this.#signal)) {
      if (update.kind === 'trouble') {
        if (this.#trouble === undefined) this.here.say(update.error.message)
        this.#trouble = update.error.message
        this.#membership.begin()
        continue
      }
      if (this.#trouble !== undefined) this.here.say('the store is back')
      this.#trouble = undefined
      if (update.kind === 'listing') {
        this.#see(update.listing)
        this.#membership.begin(update.listing)
      } else if (update.changes.events.length > 0) this.#followChanges(update.changes)
    }
    this.#membership.begin()
  }

  #see({ entries }: Listing): void {
    const { here } = this
    const found = clusterIn({ entries })
    // What another cluster knows says nothing of ours, whose hosts stay as they were.
    this.#isForeign = found !== undefined && here.cluster !== undefined && found.id !== here.cluster
    if (this.#isForeign) return this.#membership.joinAgain()
    const isFirst = !this.#hasListed
    this.#hasListed = true
    // Whoever lists again may do so because the store was wiped or restored.
    const isTrusted = isFirst && found?.settled === true
    if (!isTrusted) this.#doubtSince = performance.now()
    here.unheard(() => { here.see(entries, isTrusted) })
    collectSoon()
    if (!isFirst && here.member !== undefined) this.#membership.joinAgain()
    for (const name of Object.keys(here.shares)) void this.#look(name)
  }

  #followChanges({ events }: Changes): void {
    const { here } = this
    if (this.#isForeign) return
    for (const name of here.unheard(() => here.follow(events))) void this.#look(name)
    for (const event of events) {
      if (event.kind === 'put' && event.entry.key === clusterKey) this.#membership.hurry()
      if (event.kind === 'removed' && hosts.id(event.key) === here.settings.hostId)
        this.#membership.removed(event.revision)
    }
  }

  /** What a change of a network's own keys calls for. */
  async #look(name: string): Promise<void> {
    const { member, picture } = this.here
    if (member?.share(name) === undefined) return
    try {
      if (picture.networks.get(name)?.config?.leaving === true) await leave(this.here, member, name)
      else await tendStatics(this.here, member, name)
    } catch (error) {
      this.#excuse(error)
    }
  }

  /** Whatever is wrong in the kernel is noticed by its announcements, or half a minute later. */
  async #mend(): Promise<void> {
    let last = performance.now()
    while (!this.#signal.aborted) {
      await setTimeout(LISTEN_EVERY, undefined, { signal: this.#signal }).catch(() => undefined)
      if (this.#signal.aborted) return
      this.#hear()
      const now = performance.now()
      this.#checksums.turn(now)
      const isDue = this.#disturbed !== undefined && now - this.#disturbed >= MEND_AFTER
      if (!isDue && now - last < MEND_EVERY) continue
      last = now
      this.#disturbed = undefined
      await this.#mendNow()
    }
  }

  async #mendNow(): Promise<void> {
    try {
      this.here.lookAtUnderlay()
    } catch (error) {
      this.#excuse(error) // it is about to get another one
    }
    const changes = this.here.unheard(() => this.here.syncAll())
    collectSoon()
    this.here.counts.mended += changes
    if (changes > 0) this.here.say(`mended ${changes} entries of the kernel`)
    try {
      await this.#membership.publish()
    } catch (error) {
      this.#excuse(error)
      this.#disturbed ??= performance.now()
    }
  }

  /** What is done from time to time, for all hosts or for this one. */
  async #tend(listenAgain: () => Promise<void>): Promise<void> {
    while (!this.#signal.aborted) {
      await setTimeout(TEND_EVERY, undefined, { signal: this.#signal }).catch(() => undefined)
      if (this.#signal.aborted) return
      try {
        await listenAgain()
        if (this.#trouble !== undefined) continue
        await this.#membership.tend()
        if (this.here.member) await releaseUnused(this.here, this.here.member)
        this.#endDoubt()
      } catch (error) {
        this.#excuse(error)
      }
    }
  }

  /** Those who have not come back in time are gone. */
  #endDoubt(): void {
    const { picture } = this.here
    const isOver = picture.cluster?.settled === true && performance.now() - this.#doubtSince > CLAIM_HOLD_DOWN
    if (this.#isForeign || !picture.isDoubtful || !isOver) return
    picture.dropDoubtful()
    this.here.unheard(() => this.here.syncAll())
  }

  #concerns(news: Announcement): boolean {
    switch (news.about) {
      case 'overrun': return true
      case 'route': return news.removed && news.protocol === PROTOCOL
      default: return news.index === this.here.underlay.index || this.here.networks.has(news.index)
    }
  }

  #hear(): void {
    for (const news of this.#monitor.news()) if (this.#concerns(news)) this.#disturbed ??= performance.now()
  }

  /** What has been announced by now was our own doing, but for what has become of the underlay. */
  #ignore(): void {
    for (const news of this.#monitor.news()) {
      const isUnderlay = 'index' in news && news.index === this.here.underlay.index && news.about !== 'neighbour'
      if (isUnderlay) this.#disturbed ??= performance.now()
    }
  }

  #excuse(error: unknown): void {
    if (!isExcused(error)) throw error
    if (!isTrouble(error)) this.here.say(wordsOf(error))
  }

  #health(): Health {
    const state = { follows: this.#trouble === undefined, checksumTrials: this.#checksums.trials }
    return { obstacle: this.obstacle, metrics: metricsOf(this.here, state) }
  }
}
