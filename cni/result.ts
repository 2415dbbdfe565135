// The result of an ADD in the shape of the newest version, read from any version: SPEC.md, section 5.
import { familyOf } from '#netlink/ip.ts'
import { CniError } from './errors.ts'
import { isObject, lookUp, type Json } from './json.ts'
import { versions } from './spec.ts'

export interface Interface {
  readonly name: string
  readonly mac?: string | undefined
  readonly mtu?: number | undefined
  /** Path of the network namespace; absent for links on the host. */
  readonly sandbox?: string | undefined
  readonly socketPath?: string | undefined
  readonly pciID?: string | undefined
}

/** An address with its prefix length. `interface` is an index into `interfaces`. */
export interface IpConfig {
  readonly address: string
  readonly gateway?: string | undefined
  readonly interface?: number | undefined
}

export interface Route {
  readonly dst: string
  readonly gw?: string | undefined
  readonly mtu?: number | undefined
  readonly advmss?: number | undefined
  readonly priority?: number | undefined
  readonly table?: number | undefined
  readonly scope?: number | undefined
}

export interface Dns {
  readonly nameservers?: readonly string[] | undefined
  readonly domain?: string | undefined
  readonly search?: readonly string[] | undefined
  readonly options?: readonly string[] | undefined
}

/** Keys that we do not know travel with the objects they came in. */
export interface Result {
  readonly interfaces: readonly Interface[]
  readonly ips: readonly IpConfig[]
  readonly routes: readonly Route[]
  readonly dns: Dns
}

export const noResult: Result = { interfaces: [], ips: [], routes: [], dns: {} }

const malformed = (what: string, value: unknown): CniError =>
  new CniError(
    'decodingFailure',
    `${what} ${JSON.stringify(value)} has the wrong type`,
    'see "Success" in the CNI specification',
  )

/** Go's zero values say nothing. */
const isZero = (value: unknown): boolean => value === undefined || value === null || value === ''

/** An object under the given spelling of its keys, zero values left out, unknown keys kept. */
const respell = (what: string, value: unknown, keys: readonly string[]): Record<string, unknown> => {
  if (!isObject(value)) throw malformed(what, value)
  const known = new Map(keys.map(key => [key.toLowerCase(), key]))
  return Object.fromEntries(Object.entries(value)
    .filter(([, item]) => !isZero(item))
    .map(([key, item]) => [known.get(key.toLowerCase()) ?? key, item]))
}

const listOf = <T>(raw: Json, key: string, read: (value: unknown) => T): T[] => {
  const value = lookUp(raw, key) ?? []
  if (!Array.isArray(value)) throw malformed(key, value)
  return value.map(read)
}

const text = (what: string, value: unknown): string => {
  if (typeof value !== 'string') throw malformed(what, value)
  return value
}

const readInterface = (value: unknown): Interface => {
  const found = respell('interfaces', value, ['name', 'mac', 'mtu', 'sandbox', 'socketPath', 'pciID'])
  const { mac } = found as { mac?: unknown }
  if (mac !== undefined) text('interfaces.mac', mac)
  return { ...found, name: text('interfaces.name', found['name'] ?? '') }
}

const readIp = (value: unknown): IpConfig => {
  const { version: _, ...found } = respell('ips', value, ['version', 'address', 'gateway', 'interface'])
  return { ...found, address: text('ips.address', found['address']) }
}

const readRoute = (value: unknown): Route => {
  const found = respell('routes', value, ['dst', 'gw', 'mtu', 'advmss', 'priority', 'table', 'scope'])
  return { ...found, dst: text('routes.dst', found['dst']) }
}

const readDns = (value: unknown): Dns =>
  isZero(value) ? {} : respell('dns', value, ['nameservers', 'domain', 'search', 'options'])

/** ip4 and ip6 of versions 0.1.0 and 0.2.0. */
const readFamilies = (raw: Json): Pick<Result, 'ips' | 'routes'> => {
  const families = ['ip4', 'ip6'].map(key => lookUp(raw, key)).filter(value => !isZero(value))
    .map(value => respell('ip4 or ip6', value, ['ip', 'gateway', 'routes']))
  return {
    ips: families.map(({ ip, gateway }) => readIp({ address: ip, gateway })),
    routes: families.flatMap(family => listOf(family, 'routes', readRoute)),
  }
}

const known = ['cniversion', 'interfaces', 'ips', 'routes', 'dns', 'ip4', 'ip6']

/**
 * Reads a result of any version.
 * @param version what it is taken for when it names none
 * @throws CniError 6 when it has another shape, 1 when its version is unknown
 */
export const readResult = (raw: Json, version: string): Result => {
  const stated = lookUp(raw, 'cniVersion')
  const actual = isZero(stated) ? version : text('cniVersion', stated)
  if (!(versions as readonly string[]).includes(actual)) {
    throw new CniError(
      'incompatibleVersion',
      `unsupported CNI result version ${JSON.stringify(actual)}`,
      `known are ${versions.join(', ')}`,
    )
  }
  const unknown = Object.fromEntries(Object.entries(raw).filter(([key]) => !known.includes(key.toLowerCase())))
  const dns = readDns(lookUp(raw, 'dns'))
  if (actual === '0.1.0' || actual === '0.2.0') return { ...unknown, interfaces: [], ...readFamilies(raw), dns }
  return {
    ...unknown, dns,
    interfaces: listOf(raw, 'interfaces', readInterface),
    ips: listOf(raw, 'ips', readIp),
    routes: listOf(raw, 'routes', readRoute),
  }
}

/**
 * prevResult of a configuration, undefined when there is none.
 * @throws CniError as readResult
 */
export const readPrevious = (raw: Json, version: string): Result | undefined => {
  const value = lookUp(raw, 'prevResult')
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw malformed('prevResult', value)
  return readResult(value, version)
}

const SCOPE_LINK = 253 // RT_SCOPE_LINK of include/uapi/linux/rtnetlink.h

/**
 * The next hop of a route: its own, or the gateway of the first address of its family. What a route says to be on the
 * link needs none.
 */
export const nextHop = ({ dst, gw, scope = 0 }: Route, ips: readonly IpConfig[]): string | undefined => {
  if (gw !== undefined || scope >= SCOPE_LINK) return gw
  return ips.find(ip => ip.gateway && familyOf(ip.address) === familyOf(dst))?.gateway
}

/** What a plugin has made, behind what the plugins before it have: indices stay valid, nothing is dropped. */
export const append = (previous: Result | undefined, made: Result): Result => {
  if (previous === undefined) return made
  const offset = previous.interfaces.length
  return {
    ...previous,
    interfaces: [...previous.interfaces, ...made.interfaces],
    ips: [
      ...previous.ips,
      ...made.ips.map(ip => ip.interface === undefined ? ip : { ...ip, interface: ip.interface + offset }),
    ],
    routes: [...previous.routes, ...made.routes],
    dns: Object.keys(made.dns).length > 0 ? made.dns : previous.dns,
  }
}
