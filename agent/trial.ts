// For tests: hosts that die, and lose answers, at any of their writes, and what must hold all the same.
import { mkdtempSync, rmSync } from 'node:fs'
import { foundCluster } from './cluster.ts'
import { hosts, nets, readNetKey, root } from './layout.ts'
import { join } from './membership.ts'
import type { Member } from './member.ts'
import type { Memory, MemoryKeeper } from './memory.ts'
import { OverlayError, type Obstacle } from './overlay-error.ts'
import { ownerOf, recordOf, type BlockRecord } from './records.ts'
import { FileStore } from './store/file.ts'
import type { Lease, Outcome, Store } from './store/store.ts'
import { isTrouble, StoreError } from './store/store-error.ts'
import type { Condition, Operation } from './store/transaction.ts'

interface Test { teardown(step: () => unknown): unknown }

/** The process is gone. */
export class Killed extends Error {}

/**
 * - `before` and `after`: killed before, or just after, the write.
 * - `lost`: the write is made, its answer is not received. `late`: the same, but it is made only some time later.
 * - `down`: the write is not made, and the host knows.
 */
export type Fault = 'before' | 'after' | 'lost' | 'late' | 'down'

export const faults: readonly Fault[] = ['before', 'after', 'lost', 'late', 'down']

/** Decides what happens to the next write of a host. */
export type Fate = () => Fault | undefined

/** Changes on their way to the store. */
export class Wire {
  #waiting: (() => Promise<unknown>)[] = []

  send(change: () => Promise<unknown>): void { this.#waiting.push(change) }

  /** All of them arrive. */
  async arrive(): Promise<void> {
    const all = this.#waiting
    this.#waiting = []
    for (const change of all) await change()
  }
}

/** A store as a host sees it to which things happen. */
export const fatefulStore = (store: Store, fate: Fate, wire: Wire): Store => ({
  name: store.name,
  list: prefix => store.list(prefix),
  watch: (prefix, from, signal) => store.watch(prefix, from, signal),
  async lease(seconds): Promise<Lease> { return await store.lease(seconds) },
  async commit(conditions: readonly Condition[], operations: readonly Operation[]): Promise<Outcome> {
    await new Promise(resolve => { setImmediate(resolve) })
    const fault = fate()
    if (fault === 'before') throw new Killed()
    if (fault === 'down') throw new StoreError('unreachable', 'down')
    if (fault === 'late') wire.send(() => store.commit(conditions, operations).catch(() => undefined))
    if (fault === 'late') throw new StoreError('unknown', 'late')
    const outcome = await store.commit(conditions, operations)
    if (fault === 'after') throw new Killed()
    if (fault === 'lost') throw new StoreError('unknown', 'lost')
    return outcome
  },
  close() { store.close() },
})

/** The memory of a host on its disk, during one life of its agent. */
const fatefulKeeper = (disk: Map<string, Memory>, host: string, fate: Fate): MemoryKeeper => ({
  read: () => disk.get(host),
  write(memory) {
    const fault = fate()
    if (fault === 'before') throw new Killed()
    disk.set(host, memory)
    if (fault === 'after') throw new Killed()
  },
})

/** Some hosts, their disks, and a store without faults of its own. */
export class Lab {
  readonly store: Store
  readonly wire = new Wire()
  readonly disks = new Map<string, Memory>()

  constructor(store: Store) { this.store = store }

  /** Starts a host's agent. @throws Killed, StoreError, OverlayError */
  async join(host: string, fate: Fate = () => undefined): Promise<Member> {
    const keeper = fatefulKeeper(this.disks, host, fate)
    return (await join(fatefulStore(this.store, fate, this.wire), keeper, host, { mtu: 1500 })).member
  }

  blocksOf(host: string, network: string): readonly string[] {
    return this.disks.get(host)?.shares[network]?.blocks ?? []
  }

  /** Blocks that two hosts believe to own. */
  shared(network: string, among = [...this.disks.keys()]): readonly string[] {
    const all = among.flatMap(host => this.blocksOf(host, network))
    return all.filter((block, i) => all.indexOf(block) !== i)
  }

  /** Where what hosts believe and what the store says differ; `leaked` is what only the store knows of. */
  async differences(network: string) {
    const { entries } = await this.store.list(nets.key(`${network}/`))
    const owners = new Map(entries.filter(({ key }) => readNetKey(key)?.part === 'blocks')
      .map(entry => [recordOf<BlockRecord>(entry).block!, ownerOf(entry)!]))
    const wrong = [...this.disks.keys()].flatMap(host =>
      this.blocksOf(host, network).filter(block => owners.get(block) !== host).map(block => `${host} ${block}`))
    const leaked = [...owners].filter(([block, host]) => !this.blocksOf(host, network).includes(block))
      .map(([block, host]) => `${host} ${block}`)
    return { wrong, leaked }
  }

  async hosts(): Promise<readonly string[]> {
    return (await this.store.list(root)).entries.flatMap(({ key }) => hosts.id(key) ?? [])
  }
}

/** A lab with a file store in memory and a cluster in it. `path` is the store's directory. */
export const newLab = async (t: Test): Promise<{ readonly lab: Lab; readonly path: string }> => {
  const place = mkdtempSync('/dev/shm/fairlead-lab-')
  const store = new FileStore(`${place}/store`)
  t.teardown(() => {
    store.close()
    rmSync(place, { recursive: true, force: true })
  })
  await foundCluster(store)
  return { lab: new Lab(store), path: `${place}/store` }
}

/** The fault at one write of a host's lives, counted from 0. */
export const faultAt = (at: number, fault: Fault): { readonly fate: Fate; reached(): boolean } => {
  let count = 0
  return { fate: () => count++ === at ? fault : undefined, reached: () => count > at }
}

/**
 * Lives until nothing goes wrong any more, as an agent does that is started again when it dies.
 * @param survived what is met by joining again
 */
export const persist = async (
  lab: Lab, host: string, fate: Fate, live: (member: Member) => Promise<void>, ...survived: readonly Obstacle[]
): Promise<void> => {
  for (;;) {
    try {
      await live(await lab.join(host, fate))
      return
    } catch (error) {
      const isSurvived = error instanceof OverlayError && survived.includes(error.obstacle)
      if (!isSurvived && !(error instanceof Killed) && !isTrouble(error, 'unknown', 'unreachable')) throw error
    }
  }
}
