// How the addresses of a network are cut into blocks.
import { networkOf, parsePrefix, type Prefix } from '#net/prefix.ts'
import { numberOf, parseIp, textOf } from '#netlink/ip.ts'

/** A subnet, `10.1.0.0/16`, of which hosts get blocks of a prefix length, 24. */
export interface Range { readonly subnet: string; readonly blockLength: number }

const MOST = 2 ** 48 // exact as a number, and more hosts than anybody has

const parsed = (range: Range): Prefix => parsePrefix(range.subnet)!

const blockSize = ({ bytes }: Prefix, blockLength: number): bigint => 1n << BigInt(8 * bytes.length - blockLength)

/** How many blocks there are. */
export const blockCount = (range: Range): number => Math.min(MOST, 2 ** (range.blockLength - parsed(range).length))

/** The block of an index, `10.1.2.0/24`. */
export const blockAt = (range: Range, index: number): string => {
  const subnet = parsed(range)
  const first = numberOf(networkOf(subnet)) + BigInt(index) * blockSize(subnet, range.blockLength)
  return `${textOf(subnet.family, first)}/${range.blockLength}`
}

/** The block that an address, or a prefix within a block, lies in; undefined when the range has none. */
export const blockOf = (range: Range, address: string): string | undefined => {
  const subnet = parsed(range)
  const bytes = parseIp(address.split('/')[0]!)
  if (bytes === undefined || bytes.length !== subnet.bytes.length) return undefined
  const offset = numberOf(bytes) - numberOf(networkOf(subnet))
  const index = offset / blockSize(subnet, range.blockLength)
  return offset < 0n || index >= BigInt(blockCount(range)) ? undefined : blockAt(range, Number(index))
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
