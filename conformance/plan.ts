// Which cases are run on which plugins.

import { accessSync, constants, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { strictness, type Case } from './case.ts'
import { groupsOf, isKnown, profileOf, type Profile } from './profile.ts'

export interface Item {
  readonly id: string
  readonly plugin: string
}

export interface Selection {
  /** Names of plugins; empty for all. */
  readonly plugins: readonly string[]
  /** Area letters; empty for all. */
  readonly areas: readonly string[]
  /** Case ids; empty for all. */
  readonly ids: readonly string[]
  /** A key of `strictness`. */
  readonly strictness: string
}

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/**
 * The plugins of a directory: its executable files. A file of an unknown name that is the same file as a known plugin
 * is the binary that the plugins are links to, not one more plugin.
 */
export const pluginsIn = (bin: string, profiles: Readonly<Record<string, Profile>>): string[] => {
  const names = readdirSync(bin).filter(name => isExecutable(join(bin, name))).sort()
  const file = (name: string): string => {
    const { dev, ino } = statSync(join(bin, name))
    return `${dev}:${ino}`
  }
  const known = new Set(names.filter(name => isKnown(name, profiles)).map(file))
  return names.filter(name => isKnown(name, profiles) || !known.has(file(name)))
}

const appliesTo = ({ applies }: Case, plugin: string, profile: Profile): boolean =>
  applies.includes('ALL') || applies.includes(plugin) || groupsOf(profile).some(group => applies.includes(group))

/** Beyond area D nothing can be said about a plugin whose configuration is not known. */
const judgeable = ({ id }: Case, profile: Profile): boolean => profile.kind !== 'unknown' || id < 'E'

export const plan = (
  cases: readonly Case[], plugins: readonly string[], profiles: Readonly<Record<string, Profile>>, selection: Selection,
): Item[] => {
  const { areas, ids } = selection
  const wanted = cases.filter(({ id, level }) =>
    strictness[selection.strictness]?.includes(level) &&
    (areas.length === 0 || areas.includes(id.slice(0, 1))) &&
    (ids.length === 0 || ids.includes(id)))
  const judged = plugins.filter(plugin => selection.plugins.length === 0 || selection.plugins.includes(plugin))
  return wanted.flatMap(test => judged
    .filter(plugin => {
      const profile = profileOf(plugin, profiles)
      return appliesTo(test, plugin, profile) && judgeable(test, profile)
    })
    .map(plugin => ({ id: test.id, plugin })))
}
