// What the judge has to know about a plugin to give it a valid configuration; profiles/ holds those of known types.

import { readFileSync } from 'node:fs'
import type { Group } from './case.ts'
import type { Feature } from './features.ts'
import { isObject, type JsonObject } from './json.ts'
import { chained } from './profiles/chained.ts'
import { interfaces } from './profiles/interfaces.ts'
import { ipam } from './profiles/ipam.ts'

export interface Profile {
  readonly kind: 'interface' | 'loopback' | 'chained' | 'ipam' | 'unknown'
  /** The plugin runs the IPAM plugin that `ipam.type` names. */
  readonly delegates?: boolean
  /** The plugin rejects a configuration without `ipam.type`. */
  readonly ipamRequired?: boolean
  /**
   * Keys of a minimal valid configuration, beside `cniVersion`, `name`, `type`, a stub's `ipam` and `prevResult`. In
   * texts `$network` is a number of the network's own, 88 for that of most cases.
   */
  readonly config: JsonObject
  /** For IPAM plugins: configuration keys that give an address of each family, with a route for each. */
  readonly dual?: JsonObject
  /** For IPAM plugins: configuration keys that give two IPv4 addresses. */
  readonly twoAddresses?: JsonObject
  /** Key (`a.0.b` in a list) of a number, or of a name that ends in one, that no two attachments can share. */
  readonly counted?: string
  /** What the kernel has to offer for ADD to succeed. */
  readonly needs?: readonly Feature[]
  /** Why ADD cannot succeed in this runner, whatever the kernel offers. */
  readonly unattachable?: string
  /** Links that the host needs: `uplink` is a veth called up0, `device` a spare one called dev0. */
  readonly host?: readonly ('uplink' | 'device')[]
  /**
   * Regular expressions of snapshot lines (`host link br0 …`) that may come or go between before ADD and after DEL:
   * what is shared, and what dies with the container's own links.
   */
  readonly remains?: readonly string[]
  /** A known key with a value of the wrong JSON type. */
  readonly wrongType?: JsonObject
  /** Changes to the valid configuration that have to be refused before anything is touched, by title. */
  readonly invalid?: Readonly<Record<string, JsonObject>>
  /** Strict readers of CNI_ARGS refuse keys that they do not know. */
  readonly readsArgs?: boolean
  /**
   * Keys of a configuration under which an attachment leaves something outside of its container that only DEL and GC
   * take away (a rule, a file); absent for plugins whose work dies with the namespace.
   */
  readonly leaves?: JsonObject
  /** Directories beside /run and /var/lib/cni where the plugin keeps state. */
  readonly state?: readonly string[]
}

const known: Readonly<Record<string, Profile>> = { ...interfaces, ...chained, ...ipam }

const unknown: Profile = { kind: 'unknown', config: {}, unattachable: 'no profile gives a valid configuration' }

/** The profile of a plugin by the name of its executable; `more` (a user's own) goes before the built-in ones. */
export const profileOf = (plugin: string, more: Readonly<Record<string, Profile>> = {}): Profile =>
  more[plugin] ?? known[plugin] ?? unknown

export const isKnown = (plugin: string, more: Readonly<Record<string, Profile>> = {}): boolean =>
  profileOf(plugin, more) !== unknown

/** The groups that cases can name. */
export const groupsOf = (profile: Profile): Group[] => {
  if (profile.kind === 'unknown') return []
  const parser = profile.readsArgs ? ['parser' as const] : []
  return [profile.kind, profile.delegates ? 'delegating' : 'non-delegating', ...parser]
}

/** Reads profiles from a JSON file: an object of profiles by plugin name. Throws when it is not that. */
export const readProfiles = (path: string): Readonly<Record<string, Profile>> => {
  const document: unknown = JSON.parse(readFileSync(path, 'utf8'))
  if (!isObject(document)) throw new Error(`${path}: expected an object of profiles by plugin name`)
  for (const [plugin, profile] of Object.entries(document))
    if (!isObject(profile) || typeof profile['kind'] !== 'string' || !isObject(profile['config']))
      throw new Error(`${path}: ${plugin} needs "kind" (interface, loopback, chained or ipam) and "config" (an object)`)
  return document as Readonly<Record<string, Profile>>
}
