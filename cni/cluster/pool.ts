// Pools: addresses of a segment that exists already, shared by many hosts. What a range of one is, in one place for the
// plugin, which is configured with it, and for the agent, which keeps it in the store.
import {
  contains, holesIn, intervalOf, readExclusions, readRange, sharesWith, type Interval, type RangeConfig,
} from '../address-range.ts'
import { invalidConfig } from '../errors.ts'
import { formatPrefix, parsePrefix } from '#net/prefix.ts'
import { familyOf, numberOf, parseIp, textOf, type Family } from '#netlink/ip.ts'

/** Every part of it in canonical text. */
export interface PoolRange {
  readonly subnet: string
  /** First and last address that is handed out. */
  readonly rangeStart: string
  readonly rangeEnd: string
  readonly gateway: string
  /** Prefix length of what one host gets at a time. */
  readonly blockLength: number
}

export interface PoolRangeConfig extends RangeConfig { readonly blockLength?: number | undefined }

/** Powers of two: how many hosts get a block, and the least and most addresses of one. */
const HOST_BITS = 4
const LEAST_BITS = 2
const MOST_BITS: Readonly<Record<Family, number>> = { ipv4: 4, ipv6: 6 }

const numberIn = (text: string): bigint => numberOf(parseIp(text)!)

/** 16 addresses (64 in IPv6), fewer where 16 hosts would not get a block. */
const usualLength = (family: Family, { first, last }: Interval): number => {
  const bits = (last - first).toString(2).length - HOST_BITS
  return (family === 'ipv4' ? 32 : 128) - Math.max(LEAST_BITS, Math.min(MOST_BITS[family], bits))
}

/**
 * A range of a pool, its defaults filled in.
 * @param key where it stands, for messages
 * @throws CniError 7
 */
export const readPoolRange = (key: string, config: PoolRangeConfig): PoolRange => {
  const range = readRange(key, config)
  const { family, subnet, first, last, gateway } = range
  const blockLength = config.blockLength ?? Math.max(subnet.length, usualLength(family, range))
  const most = 8 * subnet.bytes.length - LEAST_BITS
  if (!Number.isInteger(blockLength) || blockLength < subnet.length || blockLength > most) {
    throw invalidConfig(`${key}.blockLength ${blockLength} does not cut ${config.subnet} into blocks`,
      `a number from ${subnet.length} to ${most}`)
  }
  return {
    subnet: formatPrefix(subnet), rangeStart: textOf(family, first), rangeEnd: textOf(family, last),
    gateway: textOf(family, gateway), blockLength,
  }
}

/** The ranges of a pool. @throws CniError 7, also for two of one family: an attachment gets one address of each */
export const readPoolRanges = (key: string, configs: readonly PoolRangeConfig[]): readonly PoolRange[] => {
  const ranges = configs.map((config, i) => readPoolRange(`${key}[${i}]`, config))
  if (ranges.length === 0) throw invalidConfig(`${key} is empty`, 'write [{"subnet": "192.168.1.0/24"}]')
  const [one, other] = ranges.length > 1 ? ranges : []
  if (ranges.length > 2 || one && other && familyOf(one.subnet) === familyOf(other.subnet)) {
    throw invalidConfig(`${key} ${ranges.map(({ subnet }) => subnet).join(', ')}: a pool has one range of a family`,
      'give it a larger one and exclude what lies between, or make another network')
  }
  return ranges
}

/** The addresses of a range, both ends included. */
export const spanOf = ({ rangeStart, rangeEnd }: PoolRange): Interval =>
  ({ first: numberIn(rangeStart), last: numberIn(rangeEnd) })

/** What of a subnet no container can have: its own address and, in IPv4, that of broadcasts. */
const edgesOf = (subnet: string): readonly string[] => {
  const { first, last } = intervalOf(parsePrefix(subnet)!)
  const family = familyOf(subnet)
  return [textOf(family, first), ...family === 'ipv4' ? [textOf(family, last)] : []]
}

/** What is never handed out of ranges: the edges of their subnets and what a configuration excludes. */
export const excludedFrom = (ranges: readonly PoolRange[], exclude: readonly string[]): readonly string[] =>
  [...ranges.flatMap(({ subnet }) => edgesOf(subnet)), ...exclude]

/** The same as intervals, gateways among them. @throws CniError 7 */
export const holesOf = (ranges: readonly PoolRange[], family: Family, exclude: readonly string[]): Interval[] =>
  holesIn(family, ranges.map(({ subnet, gateway }) => ({ family: familyOf(subnet), gateway: numberIn(gateway) })),
    readExclusions(excludedFrom(ranges, exclude)))

const KEYS = ['subnet', 'rangeStart', 'rangeEnd', 'gateway', 'blockLength'] as const

/**
 * Where a configuration differs from what a pool is.
 * @param isGiven whether `blockLength` of a range is said: who leaves it out does not mind
 * @returns what is wrong, naming key and value; undefined when all is the same
 */
export const differenceOf = (
  key: string, wanted: readonly PoolRange[], is: readonly PoolRange[], isGiven: (index: number) => boolean,
): string | undefined => {
  for (const [i, range] of wanted.entries()) {
    const other = is.find(({ subnet }) => familyOf(subnet) === familyOf(range.subnet))
    if (other === undefined) return `${key}[${i}].subnet ${range.subnet}: the pool has ${is[0]!.subnet} only`
    const wrong = KEYS.find(name => range[name] !== other[name] && (name !== 'blockLength' || isGiven(i)))
    if (wrong !== undefined) return `${key}[${i}].${wrong} ${range[wrong]}: the pool has ${other[wrong]}`
  }
  const missing = is.find(({ subnet }) => wanted.every(range => familyOf(range.subnet) !== familyOf(subnet)))
  return missing && `${key} has no range for ${missing.subnet} of the pool`
}

/**
 * Whether two pools keep out of each other's way: of one segment, or of segments that share no address.
 * @returns what they have both
 */
export const clashOf = (one: PoolRange, other: PoolRange): string | undefined => {
  if (familyOf(one.subnet) !== familyOf(other.subnet)) return undefined
  if (one.subnet !== other.subnet) {
    const [mine, theirs] = [one, other].map(({ subnet }) => intervalOf(parsePrefix(subnet)!))
    return sharesWith(mine!, theirs!) ? `subnet ${one.subnet} overlaps ${other.subnet}` : undefined
  }
  const [mine, theirs] = [spanOf(one), spanOf(other)]
  const text = ({ rangeStart, rangeEnd }: PoolRange): string => `${rangeStart}-${rangeEnd}`
  if (sharesWith(mine, theirs)) return `${text(one)} overlaps ${text(other)}`
  for (const [range, { gateway }] of [[one, other], [other, one]] as const)
    if (gateway !== range.gateway && contains(spanOf(range), numberIn(gateway)))
      return `gateway ${gateway} is in ${text(range)}`
  return undefined
}
