// Deviations that are known before a run: failures that are expected and do not fail it.

import { reference } from './known/reference.ts'

export interface Deviation {
  readonly id: string
  readonly reason: string
  /** Plugins by case id; `ALL` stands for every plugin. */
  readonly cases: Readonly<Record<string, readonly string[]>>
}

const tables: Readonly<Record<string, readonly Deviation[]>> = { reference }

/** The table of that name; throws with the names that exist when there is none. */
export const knownDeviations = (name: string): readonly Deviation[] => {
  const table = tables[name]
  if (!table) throw new Error(`--known ${name}: there is no such table (known: ${Object.keys(tables).join(', ')})`)
  return table
}

/** The deviation that lists this case for this plugin. */
export const deviationOf = (table: readonly Deviation[], id: string, plugin: string): Deviation | undefined =>
  table.find(({ cases }) => cases[id]?.some(name => name === plugin || name === 'ALL'))
