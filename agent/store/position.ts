// Where a watch stands: the position after some events.
import type { Entry, Event, Position } from './store.ts'

/** The entry that was written last. */
export const latest = (entries: readonly Entry[]): Entry | undefined =>
  entries.reduce<Entry | undefined>((best, entry) => best && best.revision > entry.revision ? best : entry, undefined)

/**
 * The position of a watch of a prefix at a revision, after events that lead there. An anchor of elsewhere is dropped:
 * the watch is not told when it changes.
 */
export const advanced = (
  { identity, anchor }: Position, prefix: string, revision: number, events: readonly Event[],
): Position => {
  let known = anchor?.key.startsWith(prefix) ? anchor : undefined
  for (const event of events) {
    if (event.kind === 'put') known = event.entry
    else if (event.key === known?.key) known = undefined
  }
  return { identity, revision, ...known === undefined ? {} : { anchor: known } }
}
