// All cases: every file below cases/ exports `cases`.

import { globSync } from 'node:fs'
import { join } from 'node:path'
import { levels, type Case } from './case.ts'

/** Loads every case, sorted by id. Throws when two have the same id or one has a level that does not exist. */
export const loadCases = async (): Promise<Case[]> => {
  const directory = join(import.meta.dirname, 'cases')
  const all: Case[] = []
  for (const file of globSync('**/*.ts', { cwd: directory, exclude: ['**/*.test.ts'] }).sort()) {
    const module: { cases?: readonly Case[] } = await import(join(directory, file))
    all.push(...(module.cases ?? []))
  }
  all.sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const [i, { id, level }] of all.entries()) {
    if (all[i + 1]?.id === id) throw new Error(`two cases are called ${id}`)
    if (!levels.includes(level)) throw new Error(`${id} has the level ${level}`)
  }
  return all
}
