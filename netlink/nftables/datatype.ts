// Key types of sets and maps: enum datatypes of nftables' include/datatype.h, which `nft` reads back from the kernel.
import { be16, encoded, ip, mac, text, u32, u8, type Codec, type Fixed } from '../codec.ts'

interface Datatype { readonly id: number; readonly size: number; readonly order: number; readonly codec: Codec<string> }

// enum byteorder of nftables' include/datatype.h
const HOST_ENDIAN = 1
const BIG_ENDIAN = 2
/** Concatenations have no byte order as a whole. */
const NO_ORDER = 0

/** A number as decimal text. */
const decimal = (codec: Fixed<number>): Codec<string> => ({
  encode: (out, value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number >= 256 ** codec.size) throw new RangeError(`${value} is out of range`)
    codec.encode(out, number)
  },
  decode: data => `${codec.decode(data)}`,
})

/** IANA's numbers of the protocols that rules speak of. */
const numbers: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 }

const protocol: Codec<string> = {
  encode(out, name) {
    const number = numbers[name]
    if (number === undefined) throw new RangeError(`${name} is no protocol that is known here`)
    u8.encode(out, number)
  },
  decode: data => Object.keys(numbers).find(name => numbers[name] === data[0]) ?? `${data[0]}`,
}

const simple = {
  ipv4_addr: { id: 7, size: 4, order: BIG_ENDIAN, codec: ip },
  ipv6_addr: { id: 8, size: 16, order: BIG_ENDIAN, codec: ip },
  ether_addr: { id: 9, size: 6, order: BIG_ENDIAN, codec: mac },
  inet_proto: { id: 12, size: 1, order: BIG_ENDIAN, codec: protocol },
  inet_service: { id: 13, size: 2, order: BIG_ENDIAN, codec: decimal(be16) },
  mark: { id: 19, size: 4, order: HOST_ENDIAN, codec: decimal(u32) },
  ifname: { id: 41, size: 16, order: HOST_ENDIAN, codec: text },
} satisfies Record<string, Datatype>

/** A key type as nft spells it; concatenations are joined by ` . `. */
export type KeyType = keyof typeof simple | 'ifname . ether_addr' | 'ifname . ifname' | 'inet_proto . inet_service' |
  `${'ipv4' | 'ipv6'}_addr . inet_service` | `inet_proto . ${'ipv4' | 'ipv6'}_addr . inet_service` |
  `${'ipv4' | 'ipv6'}_addr . inet_proto . inet_service`

const partsOf = (type: KeyType): Datatype[] => type.split(' . ').map(name => simple[name as keyof typeof simple])

/** The bytes of a key type's parts, one after another. */
export const sizesOf = (type: KeyType): readonly number[] => partsOf(type).map(({ size }) => size)

/** The room that a part takes inside a register: a multiple of four bytes. */
export const padded = (size: number): number => (size + 3) & ~3

/** What the kernel (length) and nft (type, byte order) are told about a key type. */
export const describe = (type: KeyType): { readonly type: number; readonly length: number; readonly order: number } => {
  const parts = partsOf(type)
  const [first] = parts
  if (parts.length === 1) return { type: first!.id, length: first!.size, order: first!.order }
  return {
    // concat_subtype_add of nftables' datatype.h: six bits for each part
    type: parts.reduce((id, part) => id << 6 | part.id, 0),
    length: parts.reduce((sum, part) => sum + padded(part.size), 0),
    order: NO_ORDER,
  }
}

/**
 * The bytes of a key; the parts of a concatenation are joined by ` . `.
 * @throws RangeError when it does not fit the type
 */
export const encodeKey = (type: KeyType, key: string): Uint8Array => {
  const parts = partsOf(type)
  const texts = parts.length === 1 ? [key] : key.split(' . ')
  const out = new Uint8Array(describe(type).length)
  let at = 0
  parts.forEach(({ size, codec }, i) => {
    const content = encoded(codec, texts[i] ?? '')
    // The NUL that ends a name may fall away, but a name may not be cut.
    if (content.length > size || codec !== text && content.length !== size) throw new RangeError(`${key} is no ${type}`)
    out.set(content, at)
    at += padded(size)
  })
  return out
}

/** The text of a key. */
export const decodeKey = (type: KeyType, content: Uint8Array): string => {
  let at = 0
  return partsOf(type).map(({ size, codec }) => {
    const part = codec.decode(content.subarray(at, at + size))
    at += padded(size)
    return part
  }).join(' . ')
}
