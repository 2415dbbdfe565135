// A codec turns one value into bytes and back. The simple ones; attrs.ts builds messages from them.
import { ByteBuffer, readNumber } from './buffer.ts'
import { formatIp, parseIp } from './ip.ts'
import { formatMac, parseMac } from './mac.ts'

export interface Codec<T> {
  /** Set on codecs of a fixed size, in bytes. */
  readonly size?: number
  /** Set on attribute sets inside an attribute: NLA_F_NESTED of include/uapi/linux/netlink.h. */
  readonly nested?: true
  encode(out: ByteBuffer, value: T): void
  /** @throws RangeError when the bytes are too few */
  decode(bytes: Uint8Array): T
}
/** Those of numbers read at an offset, too: thousands of headers need no view of their own for each field. */
export interface Fixed<T> extends Codec<T> {
  readonly size: number
  decode(bytes: Uint8Array, at?: number): T
}
export type Decoded<C> = C extends { decode(bytes: Uint8Array): infer T } ? T : never

const little = (size: number): Fixed<number> => ({
  size,
  encode: (out, value) => out.set(out.reserve(size), size, value),
  decode: (bytes, at = 0) => readNumber(bytes, at, size),
})

const network = (size: number): Fixed<number> => ({
  size,
  encode: (out, value) => out.setNetwork(out.reserve(size), size, value),
  decode: (bytes, at = 0) => {
    readNumber(bytes, at, size)
    return bytes.subarray(at, at + size).reduce((value, byte) => value * 256 + byte, 0)
  },
})

export const u8 = little(1)
export const u16 = little(2)
export const u32 = little(4)
export const i32: Fixed<number> = { ...u32, decode: (bytes, at) => u32.decode(bytes, at) | 0 }
export const be16 = network(2)
export const be32 = network(4)

/** 64 bits in network order, as bigint. */
export const be64: Fixed<bigint> = {
  size: 8,
  encode(out, value) {
    be32.encode(out, Number(value >> 32n))
    be32.encode(out, Number(value & 0xffffffffn))
  },
  decode: bytes => BigInt(be32.decode(bytes)) << 32n | BigInt(be32.decode(bytes.subarray(4))),
}

/** 64 bits in host order, as bigint. */
export const u64: Fixed<bigint> = {
  size: 8,
  encode(out, value) {
    u32.encode(out, Number(value & 0xffffffffn))
    u32.encode(out, Number(value >> 32n))
  },
  decode: bytes => BigInt(u32.decode(bytes)) | BigInt(u32.decode(bytes.subarray(4))) << 32n,
}

const utf8 = new TextEncoder()

/** Text with a closing NUL. */
export const text: Codec<string> = {
  encode(out, value) {
    out.append(utf8.encode(value))
    out.reserve(1)
  },
  decode(bytes) {
    const end = bytes.indexOf(0)
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
  },
}

export const bytes: Codec<Uint8Array> = { encode: (out, value) => out.append(value), decode: data => data.slice() }

/** An attribute whose presence is the message. */
export const flag: Codec<true> = { encode: () => {}, decode: () => true }

/** A hardware address as lower-case text. */
export const mac: Codec<string> = {
  encode(out, value) {
    const parsed = parseMac(value)
    if (parsed === undefined) throw new RangeError(`${value} is no hardware address`)
    out.append(parsed)
  },
  decode: formatMac,
}

/** An IPv4 or IPv6 address as canonical text, told apart by length. */
export const ip: Codec<string> = {
  encode(out, value) {
    const parsed = parseIp(value)
    if (parsed === undefined) throw new RangeError(`${value} is no IP address`)
    out.append(parsed)
  },
  decode: formatIp,
}

/** A number with names. A number without a name decodes to its decimal text. */
export const choice = <const Names extends Record<string, number>>(
  of: Codec<number>, names: Names,
): Codec<keyof Names & string> => ({
  encode: (out, name) => of.encode(out, names[name]!),
  decode(data) {
    const number = of.decode(data)
    return Object.keys(names).find(name => names[name] === number) ?? `${number}`
  },
})

/** The bytes that one value encodes to, in memory of their own. */
export const encoded = <T>(codec: Codec<T>, value: T): Uint8Array => {
  const out = new ByteBuffer()
  codec.encode(out, value)
  return out.bytes
}
