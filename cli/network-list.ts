// A network configuration list: SPEC.md, section 1, read as libcni/conf.go of containernetworking/cni reads it.
import { CniError, invalidConfig } from '#cni/errors.ts'
import { isObject, lookUp, parseObject, type Json } from '#cni/json.ts'
import { atLeast, newest } from '#cni/spec.ts'

/** One entry of `plugins`. */
export interface PluginConfig {
  readonly type: string
  /** Names of the capabilities that it asks for. */
  readonly capabilities: readonly string[]
  readonly raw: Json
}

export interface NetworkList {
  readonly name: string
  /** The version to speak; empty when none is stated, which means 0.1.0. */
  readonly cniVersion: string
  readonly disableCheck: boolean
  readonly disableGc: boolean
  readonly plugins: readonly PluginConfig[]
  /** The configuration as it goes into the cache. */
  readonly bytes: Uint8Array
}

const wrongType = (where: string, key: string, value: unknown, wanted: string): CniError =>
  invalidConfig(`${where}: ${key} ${JSON.stringify(value)} is no ${wanted}`)

/** An optional string. */
const readText = (where: string, key: string, value: unknown): string => {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw wrongType(where, key, value, 'string')
  return value
}

/** A boolean; its name as a string counts too, since libcni says so. */
const readFlag = (where: string, key: string, value: unknown): boolean => {
  const stated = typeof value === 'string' ? value.toLowerCase() : value
  if (stated === undefined || stated === false || stated === 'false') return false
  if (stated === true || stated === 'true') return true
  throw wrongType(where, key, value, 'boolean')
}

/**
 * One plugin's configuration.
 * @param where names the file in messages
 * @throws CniError 7
 */
export const readPlugin = (value: unknown, where: string): PluginConfig => {
  if (!isObject(value)) throw wrongType(where, 'plugins entry', value, 'object')
  const type = readText(where, 'type', lookUp(value, 'type'))
  if (type === '') throw invalidConfig(`${where}: a plugin has no type`, 'name the executable in "type"')
  const capabilities = lookUp(value, 'capabilities') ?? {}
  if (!isObject(capabilities)) throw wrongType(where, 'capabilities', capabilities, 'object')
  for (const [name, wanted] of Object.entries(capabilities)) {
    if (typeof wanted !== 'boolean') throw wrongType(where, `capabilities.${name}`, wanted, 'boolean')
  }
  return { type, capabilities: Object.keys(capabilities).filter(name => capabilities[name] === true), raw: value }
}

/** The highest version of `cniVersion` and `cniVersions` that is not above ours; cniVersion alone is taken as it is. */
const negotiate = (where: string, cniVersion: string, cniVersions: unknown): string => {
  if (cniVersions === undefined) return cniVersion
  if (!Array.isArray(cniVersions)) throw wrongType(where, 'cniVersions', cniVersions, 'list')
  const stated = [...cniVersions, ...(cniVersion === '' ? [] : [cniVersion])]
  for (const version of stated) {
    const isVersion = typeof version === 'string' && atLeast(version, '0.0.0')
    if (!isVersion) throw wrongType(where, 'cniVersions entry', version, 'version such as "1.0.0"')
  }
  const spoken = (stated as string[]).filter(version => atLeast(newest, version))
  return spoken.length === 0 ? cniVersion : spoken.reduce((best, version) => atLeast(version, best) ? version : best)
}

/** The name of a list. @throws CniError 7 when it has none */
export const nameOf = (raw: Json, where: string): string => {
  const name = readText(where, 'name', raw['name'])
  if (name === '') throw invalidConfig(`${where}: the network has no name`, 'give it a "name"')
  return name
}

/**
 * A configuration list.
 * @param separate reads the plugins that have files of their own; asked unless the list says loadOnlyInlinedPlugins
 * @throws CniError 6 or 7 that names file, key and value
 */
export const readList = (bytes: Uint8Array, where: string, separate: () => readonly PluginConfig[]): NetworkList => {
  const raw = parseObject(bytes, where)
  const { plugins } = raw
  const inlinedOnly = readFlag(where, 'loadOnlyInlinedPlugins', raw['loadOnlyInlinedPlugins'])
  if (plugins === undefined && inlinedOnly) {
    throw invalidConfig(`${where}: plugins is missing`, 'loadOnlyInlinedPlugins is true, so no file beside it counts')
  }
  if (plugins !== undefined && !Array.isArray(plugins)) throw wrongType(where, 'plugins', plugins, 'list')
  if (plugins?.length === 0) throw invalidConfig(`${where}: plugins is empty`, 'a network needs a plugin')
  const inlined: PluginConfig[] = (plugins ?? []).map(plugin => readPlugin(plugin, where))
  const all = inlinedOnly ? inlined : [...inlined, ...separate()]
  const name = nameOf(raw, where)
  if (all.length === 0) {
    throw invalidConfig(`${where}: network ${name} has no plugins`, `list them in "plugins" or in ${name}/*.conf`)
  }
  return {
    name, bytes, plugins: all,
    cniVersion: negotiate(where, readText(where, 'cniVersion', raw['cniVersion']), raw['cniVersions']),
    disableCheck: readFlag(where, 'disableCheck', raw['disableCheck']),
    disableGc: readFlag(where, 'disableGC', raw['disableGC']),
  }
}
