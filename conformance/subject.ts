// The plugin under judgement, what it says that it supports, and whether ADD of it can succeed here.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Features } from './features.ts'
import { isObject, parsed } from './json.ts'
import type { Profile } from './profile.ts'
import { versions } from './versions.ts'

/** What the command line gives to single cases. */
export interface Extras {
  /** A directory with another suite, for networks whose plugins are replaced while containers live. */
  readonly other?: string
  /** A program with the interface of cnitool, linked against the real libcni. */
  readonly driver?: string
  /** Takes the time that load and soak ask for. */
  readonly long: boolean
}

export interface Subject {
  readonly bin: string
  readonly plugin: string
  readonly executable: string
  readonly profile: Profile
  readonly features: Features
  readonly extras: Extras
  /** Versions that the plugin advertises and this runner knows, oldest first; empty when VERSION fails. */
  readonly supported: readonly string[]
  /** The version that cases use unless they ask for another: the newest of them. */
  readonly version: string
  /** Why ADD cannot succeed here; undefined when it can. */
  readonly unattachable: string | undefined
}

const advertised = (executable: string): string[] => {
  const env = { CNI_COMMAND: 'VERSION' }
  const { stdout } = spawnSync(executable, { env, input: '{"cniVersion":"1.0.0"}', encoding: 'utf8', timeout: 20_000 })
  const answer = parsed(stdout)
  const list = isObject(answer) ? answer['supportedVersions'] : undefined
  return versions.filter(version => Array.isArray(list) && list.includes(version))
}

/** Asks the plugin for its versions and settles what can be judged about it. */
export const subjectOf = (
  bin: string, plugin: string, profile: Profile, features: Features, extras: Extras,
): Subject => {
  const executable = join(bin, plugin)
  const supported = advertised(executable)
  const missing = (profile.needs ?? []).filter(feature => !features[feature])
  const unattachable = profile.unattachable ?? (missing.length ? `this kernel lacks ${missing.join(', ')}` : undefined)
  return {
    bin, plugin, executable, profile, features, extras, supported, version: supported.at(-1) ?? '1.0.0', unattachable,
  }
}
