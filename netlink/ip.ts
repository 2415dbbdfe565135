// IP address text to bytes and back: RFC 4291 section 2.2 in, RFC 5952 out.
// Our own because importing ip-address costs half a start; ip.test.ts holds the two against each other.

const hexadecimal = /^[0-9a-fA-F]{1,4}$/

const [DOT, ZERO, NINE] = [46, 48, 57]

// Letter by letter: an agent with thousands of peers reads tens of thousands of addresses at once.
const parse4 = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(4)
  let at = 0
  let value = 0
  let digits = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === DOT) {
      if (digits === 0 || at === 3) return undefined
      bytes[at++] = value
      value = digits = 0
      continue
    }
    if (code < ZERO || code > NINE || digits > 0 && value === 0) return undefined
    value = value * 10 + code - ZERO
    digits++
    if (value > 255) return undefined
  }
  if (at !== 3 || digits === 0) return undefined
  bytes[3] = value
  return bytes
}

/** The 16-bit groups of one side of `::`, with a dotted IPv4 tail where `tail` allows it. */
const groups = (side: string, tail: boolean): number[] | undefined => {
  if (side === '') return []
  const parts = side.split(':')
  const last = parts[parts.length - 1]!
  let dotted: number[] = []
  if (tail && last.includes('.')) {
    const four = parse4(last)
    if (four === undefined) return undefined
    dotted = [four[0]! << 8 | four[1]!, four[2]! << 8 | four[3]!]
    parts.pop()
  }
  if (!parts.every(part => hexadecimal.test(part))) return undefined
  return [...parts.map(part => parseInt(part, 16)), ...dotted]
}

const parse6 = (text: string): Uint8Array | undefined => {
  const gap = text.indexOf('::')
  const head = groups(gap < 0 ? text : text.slice(0, gap), gap < 0)
  const rest = gap < 0 ? [] : groups(text.slice(gap + 2), true)
  if (head === undefined || rest === undefined) return undefined
  const length = head.length + rest.length
  if (gap < 0 ? length !== 8 : length > 7) return undefined
  const bytes = new Uint8Array(16)
  head.forEach((group, i) => { bytes[2 * i] = group >> 8; bytes[2 * i + 1] = group })
  rest.forEach((group, i) => {
    const at = 16 - 2 * (rest.length - i)
    bytes[at] = group >> 8
    bytes[at + 1] = group
  })
  return bytes
}

/** The 4 or 16 bytes of an address, or undefined when the text is none (leading zeros, zones and prefixes included). */
export const parseIp = (text: string): Uint8Array | undefined => text.includes(':') ? parse6(text) : parse4(text)

const mapped = (bytes: Uint8Array): boolean =>
  bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every(byte => byte === 0)

/** Where the longest run of two or more zero groups lies (the first of equals), or undefined. */
const longestGap = (values: readonly number[]): { start: number; length: number } | undefined => {
  let best = { start: 0, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && values[start + length] === 0) length++
    if (length > best.length) best = { start, length }
    start += length
  }
  return best.length > 1 ? best : undefined
}

/** The canonical text (RFC 5952) of 4 or 16 address bytes. */
export const formatIp = (bytes: Uint8Array): string => {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  if (mapped(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`
  const values = Array.from({ length: 8 }, (_, i) => bytes[2 * i]! << 8 | bytes[2 * i + 1]!)
  const text = (part: readonly number[]): string => part.map(value => value.toString(16)).join(':')
  const gap = longestGap(values)
  return gap ? `${text(values.slice(0, gap.start))}::${text(values.slice(gap.start + gap.length))}` : text(values)
}

export type Family = 'ipv4' | 'ipv6'

/** The family of an address or prefix text. */
export const familyOf = (text: string): Family => text.includes(':') ? 'ipv6' : 'ipv4'

/** The kernel's number of a family: AF_INET and AF_INET6 of include/linux/socket.h. */
export const familyNumber = (family: Family): number => family === 'ipv4' ? 2 : 10

/** An address as a number, for arithmetic. */
export const numberOf = (bytes: Uint8Array): bigint => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return bytes.length === 4 ? BigInt(view.getUint32(0)) : view.getBigUint64(0) << 64n | view.getBigUint64(8)
}

/** The text of an address that is a number. */
export const textOf = (family: Family, number: bigint): string => {
  if (family === 'ipv4') { // in one piece: host-local counts through thousands of them
    const bits = Number(number)
    return `${bits >>> 24}.${bits >>> 16 & 255}.${bits >>> 8 & 255}.${bits & 255}`
  }
  const view = new DataView(new ArrayBuffer(16))
  view.setBigUint64(0, number >> 64n)
  view.setBigUint64(8, number)
  return formatIp(new Uint8Array(view.buffer))
}
