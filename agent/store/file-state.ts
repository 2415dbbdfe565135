// What the file store keeps, and what a transaction does to it. Pure: times come from outside, in seconds since boot.
import { advanced, latest } from './position.ts'
import type { Changes, Entry, Event, Listing, Outcome, Position } from './store.ts'
import { StoreError } from './store-error.ts'
import { holds, type Condition, type Operation } from './transaction.ts'

interface Held { readonly seconds: number; readonly until: number }

/** The whole content of a store. */
export interface State {
  readonly id: string
  readonly revision: number
  /** Removals up to this revision are forgotten. */
  readonly compacted: number
  readonly entries: readonly Entry[]
  readonly removed: readonly { readonly key: string; readonly revision: number }[]
  readonly leases: Readonly<Record<string, Held>>
}

/** How many removals are remembered for watches. */
const MEMORY = 4096

export const emptyState = (id: string): State =>
  ({ id, revision: 1, compacted: 0, entries: [], removed: [], leases: {} })

/** Without the removals up to a revision. */
export const compacted = (state: State, revision: number): State => ({
  ...state,
  compacted: Math.max(state.compacted, revision),
  removed: state.removed.filter(removal => removal.revision > revision),
})

const forgetful = (state: State): State =>
  state.removed.length > MEMORY ? compacted(state, state.removed[MEMORY / 2]!.revision) : state

/** After the operations, which happen at one revision. @throws StoreError when a lease is not there */
const applied = (state: State, operations: readonly Operation[]): State => {
  const revision = state.revision + 1
  const entries = new Map(state.entries.map(entry => [entry.key, entry]))
  const removed = new Map(state.removed.map(removal => [removal.key, removal.revision]))
  for (const operation of operations) {
    if ('remove' in operation) {
      if (entries.delete(operation.remove)) removed.set(operation.remove, revision)
      continue
    }
    const { put: key, value, lease } = operation
    if (lease !== undefined && state.leases[lease] === undefined)
      throw new StoreError('refused', `lease ${lease} of ${key} has ended: take another one`)
    const created = entries.get(key)?.created ?? revision
    entries.set(key, { key, value, revision, created, ...lease === undefined ? {} : { lease } })
    removed.delete(key)
  }
  const byKey = [...entries.values()].sort((one, other) => one.key < other.key ? -1 : 1)
  const byAge = [...removed].map(([key, at]) => ({ key, revision: at })).sort((a, b) => a.revision - b.revision)
  return forgetful({ ...state, revision, entries: byKey, removed: byAge })
}

/** Of sums of seconds that are no whole numbers. */
const ROUNDING = 0.001

const runsOut = ({ seconds, until }: Held, now: number): boolean =>
  until <= now || until - seconds > now + ROUNDING // the second: taken before the machine was started

/** The leases that have run out. */
export const ended = ({ leases }: State, now: number): readonly string[] =>
  Object.keys(leases).filter(id => runsOut(leases[id]!, now))

/** Without some leases and their keys. */
export const withoutLeases = (state: State, ids: readonly string[]): State => {
  if (ids.length === 0) return state
  const leases = Object.fromEntries(Object.entries(state.leases).filter(([id]) => !ids.includes(id)))
  const keys = state.entries.filter(({ lease }) => lease !== undefined && ids.includes(lease)).map(({ key }) => key)
  const next = keys.length === 0 ? state : applied(state, keys.map(key => ({ remove: key })))
  return { ...next, leases }
}

/** With a lease taken or kept alive. */
export const withLease = (state: State, id: string, seconds: number, now: number): State =>
  ({ ...state, leases: { ...state.leases, [id]: { seconds, until: now + seconds } } })

/** What a transaction makes of the state, and its outcome. @throws StoreError */
export const transacted = (
  state: State, conditions: readonly Condition[], operations: readonly Operation[],
): { readonly state: State; readonly outcome: Outcome } => {
  const known = new Map(state.entries.map(entry => [entry.key, entry]))
  if (!conditions.every(condition => holds(condition, known.get(condition.key)))) {
    const asked = conditions.flatMap(({ key }) => known.get(key) ?? [])
    const current = new Map(asked.map(entry => [entry.key, entry]))
    return { state, outcome: { succeeded: false, revision: state.revision, current } }
  }
  const next = operations.length === 0 ? state : applied(state, operations)
  return { state: next, outcome: { succeeded: true, revision: next.revision, current: new Map() } }
}

export const listed = (state: State, prefix: string): Listing => {
  const entries = state.entries.filter(({ key }) => key.startsWith(prefix))
  const anchor = latest(entries)
  return { identity: state.id, revision: state.revision, entries, ...anchor === undefined ? {} : { anchor } }
}

/** Whether the state cannot have held an entry at a revision: it neither does, nor was it changed later. */
const contradicts = ({ entries, removed }: State, { key, revision, value }: Entry, at: number): boolean => {
  const now = entries.find(entry => entry.key === key)
  if (now !== undefined) return now.revision <= at && (now.revision !== revision || now.value !== value)
  return !removed.some(removal => removal.key === key && removal.revision > at)
}

/** What happened below a prefix since a position. @throws StoreError when that cannot be told */
export const changesSince = (state: State, prefix: string, from: Position): Changes => {
  const { identity, revision, anchor } = from
  if (state.id !== identity) throw new StoreError('stale', 'this is another store')
  if (state.revision < revision) throw new StoreError('stale', 'the store was restored: its revision went back')
  if (revision < state.compacted)
    throw new StoreError('stale', `removals up to revision ${state.compacted} are forgotten`)
  if (anchor !== undefined && contradicts(state, anchor, revision))
    throw new StoreError('stale', 'the store was restored: it has another past')
  const since = (change: { readonly key: string; readonly revision: number }): boolean =>
    change.revision > revision && change.key.startsWith(prefix)
  const events: Event[] = [
    ...state.entries.filter(since).map(entry => ({ kind: 'put', entry }) as const),
    ...state.removed.filter(since).map(removal => ({ kind: 'removed', ...removal }) as const),
  ]
  const at = (event: Event): number => event.kind === 'put' ? event.entry.revision : event.revision
  events.sort((one, other) => at(one) - at(other))
  return { events, position: advanced(from, prefix, state.revision, events) }
}
