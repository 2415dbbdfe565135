// The range sets of a configuration, judged as a whole.
import {
  capacity, describe, describeSet, holesIn, overlap, readExclusions, readRange,
  type Range, type RangeConfig, type RangeSet,
} from '#cni/address-range.ts'
import { invalidConfig } from '#cni/errors.ts'
import { isObject } from '#cni/json.ts'
import { requireExpressible } from '#cni/encode.ts'
import { addressRange } from '#cni/keys.ts'
import { admit } from '#cni/schema.ts'
import { formatPrefix } from '#net/prefix.ts'
import type { Family } from '#netlink/ip.ts'
import type { Config } from './config.ts'

const keys = Object.keys(addressRange.properties) as (keyof RangeConfig)[]

/** A range as a runtime sends it: go-cni's has capital keys and empty strings. */
const readSent = (key: string, value: unknown): RangeConfig => {
  const range = admit(addressRange, value)
  if (!isObject(range)) {
    throw invalidConfig(`${key} ${JSON.stringify(value)} is no range`, 'write {"subnet": "10.1.0.0/16"}')
  }
  const odd = keys.find(name => !['string', 'undefined'].includes(typeof range[name]))
  if (odd) throw invalidConfig(`${key}.${odd} ${JSON.stringify(range[odd])} is no string`)
  return range
}

/** runtimeConfig.ipRanges: a list of sets, or go-cni's flat list, which is one set. */
const sentSets = (sent: readonly unknown[]): RangeConfig[][] => {
  const key = 'runtimeConfig.ipRanges'
  const flat = sent.length > 0 && sent.every(isObject)
  const sets = flat ? [sent] : sent
  return sets.map((set, i) => {
    if (!Array.isArray(set)) throw invalidConfig(`${key}[${i}] ${JSON.stringify(set)} is no list of ranges`)
    return set.map((range, j) => readSent(flat ? `${key}[${j}]` : `${key}[${i}][${j}]`, range))
  })
}

interface Source {
  readonly key: string
  readonly ranges: readonly { readonly key: string; readonly config: RangeConfig }[]
}

const numbered = (key: string, sets: readonly (readonly RangeConfig[])[]): Source[] =>
  sets.map((set, i) => ({
    key: `${key}[${i}]`,
    ranges: set.map((config, j) => ({ key: `${key}[${i}][${j}]`, config })),
  }))

/** In the reference's order: what the runtime sends, the flat keys, `ranges`. */
const sources = ({ ipam = { dataDir: '' }, runtimeConfig }: Config): Source[] => {
  const { ranges = [], subnet, rangeStart, rangeEnd, gateway } = ipam
  const flat = { key: 'ipam', config: { subnet, rangeStart, rangeEnd, gateway } }
  return [
    ...numbered('runtimeConfig.ipRanges', sentSets(runtimeConfig?.ipRanges ?? [])),
    ...(subnet === undefined ? [] : [{ key: 'ipam', ranges: [flat] }]),
    ...numbered('ipam.ranges', ranges),
  ]
}

const requireApart = (sets: readonly (readonly Range[])[]): void => {
  const all = sets.flat()
  for (const [i, one] of all.entries()) {
    const other = all.find((candidate, j) => j > i && overlap(one, candidate))
    if (other === undefined) continue
    throw invalidConfig(`ranges ${describe(one)} and ${describe(other)} overlap`, 'let them be disjoint')
  }
}

const requireOneFamily = (key: string, ranges: readonly Range[]): Family => {
  const [first, ...others] = ranges
  if (first === undefined) throw invalidConfig(`${key} is an empty range set`, 'give it a range, or leave it out')
  const other = others.find(range => range.family !== first.family)
  if (other) {
    const subnets = `${formatPrefix(first.subnet)} and ${formatPrefix(other.subnet)}`
    throw invalidConfig(`${key} mixes ${subnets}`, 'for an address of each family give each a range set of its own')
  }
  return first.family
}

/**
 * The range sets that a configuration asks for, in the order of the addresses of the result.
 * @throws CniError 7 that names key and value, also when the version's result has no room for as many addresses
 */
export const readRangeSets = (config: Config, cniVersion: string): RangeSet[] => {
  if (config.ipam === undefined) throw invalidConfig('ipam is missing', 'host-local needs an "ipam" object with ranges')
  const exclusions = readExclusions(config.ipam.exclude ?? [])
  const read = sources(config)
    .map(({ key, ranges }) => ({ key, ranges: ranges.map(range => readRange(range.key, range.config)) }))
  if (read.length === 0) throw invalidConfig('ipam.ranges is missing', 'write "ranges": [[{"subnet": "10.1.0.0/16"}]]')

  const gateways = read.flatMap(({ ranges }) => ranges)
  const sets = read.map(({ key, ranges }): RangeSet => {
    const family = requireOneFamily(key, ranges)
    return { key, family, ranges, holes: holesIn(family, gateways, exclusions) }
  })
  requireApart(sets.map(({ ranges }) => ranges))
  const empty = sets.find(set => capacity(set) === 0n)
  if (empty) throw invalidConfig(`${describeSet(empty)} has no address to hand out`, 'gateways or exclude cover it')
  requireExpressible(cniVersion, sets.map(({ ranges }) => ({ address: formatPrefix(ranges[0]!.subnet) })))
  return sets
}
