// What can be said of a network before anything is made: its addresses, and whether others are in their way.
import { CniError } from '#cni/errors.ts'
import { clashOf, holesOf, readPoolRanges, type PoolRange } from '#cni/cluster/pool.ts'
import { overlaps, parsePrefix, subnetOf } from '#net/prefix.ts'
import { familyOf } from '#netlink/ip.ts'
import type {
  Addressing, NetworkConfig, NetworkWish, OverlayConfig, OverlayWish, PoolConfig, PoolWish,
} from './network.ts'
import { OverlayError } from './overlay-error.ts'
import type { Range } from './range.ts'
import { reservedAround } from './reserved.ts'

/** Addresses of a block in flat mode, as a power of two. */
const FLAT_BITS = 6

export const invalid = (message: string, advice = ''): OverlayError => new OverlayError('invalid', message, advice)

const refuseReserved = (key: string, subnet: string): void => {
  const reserved = reservedAround(parsePrefix(subnet)!)
  if (reserved !== undefined)
    throw invalid(`${key}.subnet ${subnet} has addresses of ${reserved}, which no container can have`, 'choose another')
}

const rangeOf = (
  { subnet, blockLength }: OverlayWish['ranges'][number], i: number, addressing: Addressing,
): Range => {
  const prefix = parsePrefix(subnet)
  const key = `ranges[${i}]`
  if (prefix === undefined) throw invalid(`${key}.subnet ${JSON.stringify(subnet)} is no subnet`, 'write 10.1.0.0/16')
  if (subnetOf(prefix) !== subnet)
    throw invalid(`${key}.subnet ${subnet} has host bits or is not in canonical text`, `write ${subnetOf(prefix)}`)
  refuseReserved(key, subnet)
  const bits = 8 * prefix.bytes.length
  const length = blockLength ?? (addressing === 'flat' ? bits - FLAT_BITS : prefix.family === 'ipv4' ? 24 : 64)
  if (!Number.isInteger(length) || length < prefix.length || length > bits - 2)
    throw invalid(`${key}.blockLength ${length} does not cut ${subnet} into blocks`,
      `a number from ${prefix.length} to ${bits - 2}`)
  return { subnet, blockLength: length }
}

const rangesOf = ({ ranges }: OverlayWish, addressing: Addressing): Range[] => {
  const cut = ranges.map((range, i) => rangeOf(range, i, addressing))
  if (cut.length === 0) throw invalid('ranges is empty', 'name a subnet')
  for (const [i, { subnet }] of cut.entries())
    for (const [j, other] of cut.slice(0, i).entries())
      if (overlaps(parsePrefix(subnet)!, parsePrefix(other.subnet)!))
        throw invalid(`ranges[${i}].subnet ${subnet} overlaps ranges[${j}].subnet ${other.subnet}`)
  return cut
}

/** What is certain of a network before the store was asked. */
export type Plan = Pick<OverlayConfig, 'addressing' | 'ranges'> | PoolConfig

/** What two networks have both, undefined when that is nothing. Pools may have parts of one segment. */
const clashBetween = (one: Plan, other: NetworkConfig): string | undefined => {
  const pairs = one.ranges.flatMap(range => other.ranges.map(theirs => [range, theirs] as const))
  for (const [range, theirs] of pairs) {
    const clash = one.addressing === 'pool' && other.addressing === 'pool'
      ? clashOf(range as PoolRange, theirs as PoolRange)
      : overlaps(parsePrefix(range.subnet)!, parsePrefix(theirs.subnet)!)
        ? `subnet ${range.subnet} overlaps ${theirs.subnet}`
        : undefined
    if (clash !== undefined) return clash
  }
  return undefined
}

/** @param others the other networks by name @throws OverlayError `taken` */
export const requireRoom = (name: string, plan: Plan, others: Iterable<readonly [string, NetworkConfig]>): void => {
  for (const [other, config] of others) {
    const clash = clashBetween(plan, config)
    if (clash === undefined) continue
    throw new OverlayError('taken', `network ${name}: ${clash} of ${other}`, 'choose other addresses')
  }
}

const poolPlan = (wish: PoolWish): PoolConfig => {
  try {
    const ranges = readPoolRanges('ranges', wish.ranges)
    for (const [i, { subnet }] of ranges.entries()) refuseReserved(`ranges[${i}]`, subnet)
    return { addressing: 'pool', ranges }
  } catch (error) {
    throw error instanceof CniError ? invalid(error.message, error.details) : error
  }
}

/** @throws OverlayError `invalid` */
export const planOf = (wish: NetworkWish): Plan => {
  if (wish.addressing === 'pool') return poolPlan(wish)
  const addressing = wish.addressing ?? 'hostSubnet'
  return { addressing, ranges: rangesOf(wish, addressing) }
}

/** The ranges that a host gets blocks of. @param exclude what it does not hand out of a pool */
export const rangesFor = (config: NetworkConfig, exclude: readonly string[] = []): readonly Range[] =>
  config.addressing !== 'pool' ? config.ranges : config.ranges.map(range =>
    ({ ...range, holes: holesOf(config.ranges, familyOf(range.subnet), exclude) }))
