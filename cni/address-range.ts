// Ranges of addresses, and the order in which they are handed out: round robin, as the reference plugin's iterator
// (plugins/ipam/host-local/backend/allocator). Addresses are numbers here, texts outside.
import { formatPrefix, networkOf, parsePrefix, type Prefix } from '#net/prefix.ts'
import { numberOf, parseIp, textOf, type Family } from '#netlink/ip.ts'
import { invalidConfig } from './errors.ts'
import type { addressRange } from './keys.ts'
import type { FromSchema } from './schema.ts'

export type RangeConfig = FromSchema<typeof addressRange>

/** Consecutive addresses, both ends included. */
export interface Interval { readonly first: bigint; readonly last: bigint }

export interface Range extends Interval {
  readonly family: Family
  readonly subnet: Prefix
  readonly gateway: bigint
}

/** Ranges of one family that an attachment gets one address from. */
export interface RangeSet {
  /** The key of the configuration that it comes from, for messages. */
  readonly key: string
  readonly family: Family
  readonly ranges: readonly Range[]
  /** What is never handed out (gateways and exclusions), ascending and disjoint. */
  readonly holes: readonly Interval[]
}

const LONGEST: Readonly<Record<Family, number>> = { ipv4: 30, ipv6: 126 }

/** An interval as wide as a prefix. */
export const intervalOf = (prefix: Prefix): Interval => {
  const first = numberOf(networkOf(prefix))
  return { first, last: first + (1n << BigInt(8 * prefix.bytes.length - prefix.length)) - 1n }
}

export const contains = ({ first, last }: Interval, address: bigint): boolean => address >= first && address <= last

const readSubnet = (key: string, text: string): Prefix => {
  const subnet = parsePrefix(text)
  if (subnet === undefined) throw invalidConfig(`${key} "${text}" is no subnet`, 'write 10.1.0.0/16 or fd00:1::/64')
  const proper = formatPrefix({ ...subnet, bytes: networkOf(subnet) })
  if (proper !== formatPrefix(subnet)) throw invalidConfig(`${key} ${text} has host bits set`, `is ${proper} meant?`)
  const longest = LONGEST[subnet.family]
  if (subnet.length > longest) throw invalidConfig(`${key} ${text} is too small`, `it has to be /${longest} or larger`)
  return subnet
}

/** An address of the family that `subnet` has, or undefined when `text` is. */
const readAddress = (key: string, text: string | undefined, subnet: Prefix): bigint | undefined => {
  if (text === undefined) return undefined
  const bytes = parseIp(text)
  if (bytes === undefined) throw invalidConfig(`${key} "${text}" is no IP address`, 'without prefix length and zone')
  if (bytes.length !== subnet.bytes.length) {
    throw invalidConfig(`${key} ${text} is not of the family of subnet ${formatPrefix(subnet)}`)
  }
  return numberOf(bytes)
}

/**
 * One range, its defaults filled in: gateway and start are the address after the network's, the end is the last one,
 * in IPv4 that before the broadcast address.
 * @param key where it stands, for messages
 * @throws CniError 7
 */
export const readRange = (key: string, config: RangeConfig): Range => {
  if (config.subnet === undefined) throw invalidConfig(`${key}.subnet is missing`, 'every range needs one')
  const subnet = readSubnet(`${key}.subnet`, config.subnet)
  const whole = intervalOf(subnet)
  const inside = (name: 'rangeStart' | 'rangeEnd'): bigint | undefined => {
    const address = readAddress(`${key}.${name}`, config[name], subnet)
    if (address === undefined || contains(whole, address)) return address
    throw invalidConfig(`${key}.${name} ${config[name]} is outside of subnet ${config.subnet}`)
  }
  const first = inside('rangeStart') ?? whole.first + 1n
  const last = inside('rangeEnd') ?? whole.last - (subnet.family === 'ipv4' ? 1n : 0n)
  if (first > last) {
    const [start, end] = [textOf(subnet.family, first), textOf(subnet.family, last)]
    throw invalidConfig(`${key}.rangeStart ${start} is behind rangeEnd ${end}`)
  }
  const gateway = readAddress(`${key}.gateway`, config.gateway, subnet) ?? whole.first + 1n
  return { family: subnet.family, subnet, first, last, gateway }
}

/** Whether two intervals have an address in common. */
export const sharesWith = (one: Interval, other: Interval): boolean =>
  one.first <= other.last && other.first <= one.last

export const overlap = (one: Range, other: Range): boolean => one.family === other.family && sharesWith(one, other)

export const describe = ({ family, first, last }: Range): string => `${textOf(family, first)}-${textOf(family, last)}`

/** Key and addresses of a set, for messages. */
export const describeSet = ({ key, ranges }: RangeSet): string => `${key} ${ranges.map(describe).join(', ')}`

/** The same addresses in ascending intervals that neither touch nor share any. */
export const merged = (intervals: readonly Interval[]): Interval[] => {
  const result: Interval[] = []
  for (const next of intervals.toSorted((one, other) => one.first < other.first ? -1 : 1)) {
    const before = result.at(-1)
    if (before === undefined || next.first > before.last + 1n) result.push(next)
    else if (next.last > before.last) result[result.length - 1] = { first: before.first, last: next.last }
  }
  return result
}

/**
 * `ipam.exclude`.
 * @throws CniError 7
 */
export const readExclusions = (texts: readonly string[]): readonly Prefix[] => texts.map((text, i) => {
  const bytes = parseIp(text)
  const prefix = bytes ? parsePrefix(`${text}/${8 * bytes.length}`) : parsePrefix(text)
  if (prefix === undefined) throw invalidConfig(`ipam.exclude[${i}] "${text}" is neither address nor prefix`)
  return prefix
})

/** What is never handed out of a family: gateways, whatever their range, and exclusions. */
export const holesIn = (
  family: Family, ranges: readonly Pick<Range, 'family' | 'gateway'>[], exclusions: readonly Prefix[],
): Interval[] => merged([
  ...ranges.filter(range => range.family === family).map(({ gateway }) => ({ first: gateway, last: gateway })),
  ...exclusions.filter(prefix => prefix.family === family).map(intervalOf),
])

/** What remains of an interval without the holes, ascending. */
export const without = ({ first, last }: Interval, holes: readonly Interval[]): Interval[] => {
  const rest: Interval[] = []
  let from = first
  for (const hole of holes) {
    if (hole.last < from) continue
    if (hole.first > last) break
    if (hole.first > from) rest.push({ first: from, last: hole.first - 1n })
    from = hole.last + 1n
  }
  if (from <= last) rest.push({ first: from, last })
  return rest
}

/** How many numbers there are in intervals. */
export const countIn = (intervals: readonly Interval[]): bigint =>
  intervals.reduce((sum, { first, last }) => sum + last - first + 1n, 0n)

/** One of them, counted from 0. @throws RangeError */
export const nthIn = (intervals: readonly Interval[], index: bigint): bigint => {
  let rest = index
  for (const { first, last } of intervals) {
    if (first + rest <= last) return first + rest
    rest -= last - first + 1n
  }
  throw new RangeError(`there is no number ${index} in intervals of ${countIn(intervals)}`)
}

/** How many addresses a set can hand out. */
export const capacity = ({ ranges, holes }: RangeSet): bigint => countIn(ranges.flatMap(range => without(range, holes)))

/** The range of a set that an address lies in. */
export const rangeFor = (set: RangeSet, address: bigint | undefined): Range | undefined =>
  address === undefined ? undefined : set.ranges.find(range => contains(range, address))

/** Whether a set may hand an address out. */
export const isCandidate = (set: RangeSet, address: bigint): boolean =>
  rangeFor(set, address) !== undefined && !set.holes.some(hole => contains(hole, address))

/**
 * Every address that a set may hand out, once.
 * @param after the one handed out last: it comes last; one outside of the set counts as none
 */
export function* candidates({ family, ranges, holes }: RangeSet, after?: bigint): Generator<string> {
  const at = ranges.findIndex(range => after !== undefined && contains(range, after))
  const order: Interval[] = at < 0 ? [...ranges] : [
    { first: after! + 1n, last: ranges[at]!.last },
    ...ranges.slice(at + 1),
    ...ranges.slice(0, at),
    { first: ranges[at]!.first, last: after! },
  ]
  for (const { first, last } of order.flatMap(interval => without(interval, holes))) {
    for (let address = first; address <= last; address++) yield textOf(family, address)
  }
}

/** The number of an address text, undefined when it is none or of another family. */
export const numberIn = (family: Family, text: string | undefined): bigint | undefined => {
  const bytes = text === undefined ? undefined : parseIp(text)
  return bytes?.length === (family === 'ipv4' ? 4 : 16) ? numberOf(bytes) : undefined
}
