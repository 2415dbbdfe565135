// How the addresses of a network are cut into blocks.
import { contains, countIn, intervalOf, merged, nthIn, without, type Interval } from '#cni/address-range.ts'
import { parsePrefix } from '#net/prefix.ts'
import { familyOf, numberOf, parseIp, textOf, type Family } from '#netlink/ip.ts'

/** A subnet, `10.1.0.0/16`, of which hosts get blocks of a prefix length, 24. */
export interface Range {
  readonly subnet: string
  readonly blockLength: number
  /** First and last address that is handed out; default: all of the subnet. */
  readonly rangeStart?: string
  readonly rangeEnd?: string
  /** What one host does not hand out, by its configuration: blocks without anything else are of no use to it. */
  readonly holes?: readonly Interval[]
}

const MOST = 2 ** 48 // exact as a number, and more hosts than anybody has

/** A range as numbers; blocks are counted from the first of the subnet. */
interface Cut {
  readonly family: Family
  readonly base: bigint
  readonly size: bigint
  /** The addresses of all of them. */
  readonly within: Interval
  readonly spans: readonly Interval[]
}

const numberIn = (text: string): bigint => numberOf(parseIp(text)!)

const cutOf = ({ subnet, blockLength, rangeStart, rangeEnd, holes = [] }: Range): Cut => {
  const prefix = parsePrefix(subnet)!
  const whole = intervalOf(prefix)
  const base = whole.first
  const size = 1n << BigInt(8 * prefix.bytes.length - blockLength)
  const within = {
    first: rangeStart === undefined ? whole.first : numberIn(rangeStart),
    last: rangeEnd === undefined ? whole.last : numberIn(rangeEnd),
  }
  const spans = merged(without(within, holes)
    .map(({ first, last }) => ({ first: (first - base) / size, last: (last - base) / size })))
  return { family: prefix.family, base, size, within, spans }
}

/** How many blocks there are. */
export const blockCount = (range: Range): number => Math.min(MOST, Number(countIn(cutOf(range).spans)))

const textOfBlock = ({ family, base, size }: Cut, number: bigint, { blockLength }: Range): string =>
  `${textOf(family, base + number * size)}/${blockLength}`

/** The block of an index, `10.1.2.0/24`. */
export const blockAt = (range: Range, index: number): string => {
  const cut = cutOf(range)
  return textOfBlock(cut, nthIn(cut.spans, BigInt(index)), range)
}

/** The addresses of a block that are handed out. */
export const usableIn = (range: Range, block: string): readonly Interval[] => {
  const { first, last } = intervalOf(parsePrefix(block)!)
  const { within } = cutOf(range)
  const ends = { first: first > within.first ? first : within.first, last: last < within.last ? last : within.last }
  return without(ends, range.holes ?? [])
}

/** The block that an address, or a prefix within a block, lies in; undefined when the range has none. */
export const blockOf = (range: Range, address: string): string | undefined => {
  const ip = address.split('/')[0]!
  const bytes = parseIp(ip)
  if (bytes === undefined || familyOf(ip) !== familyOf(range.subnet)) return undefined
  const cut = cutOf(range)
  const offset = numberOf(bytes) - cut.base
  const number = offset / cut.size
  return offset >= 0n && cut.spans.some(span => contains(span, number)) ? textOfBlock(cut, number, range) : undefined
}

/** The block of any of the ranges that a network has which an address lies in. */
export const blockAround = ({ ranges }: { readonly ranges: readonly Range[] }, ip: unknown): string | undefined =>
  typeof ip === 'string' ? ranges.map(range => blockOf(range, ip)).find(block => block !== undefined) : undefined

/** Whether a block is one that the range is cut into. */
export const isBlockOf = (range: Range, block: string): boolean => blockOf(range, block) === block

/**
 * Blocks that are not taken, beginning at a random one: hosts that choose at the same time choose different ones.
 * @param isTaken asked for one block after the other
 */
export function* freeBlocks(
  range: Range, isTaken: (block: string) => boolean, random: () => number = Math.random,
): Generator<string> {
  const count = blockCount(range)
  const first = Math.floor(random() * count)
  for (let i = 0; i < count; i++) {
    const block = blockAt(range, (first + i) % count)
    if (!isTaken(block)) yield block
  }
}
