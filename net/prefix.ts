// Prefixes as operators write them: an address, a slash, a prefix length.
import { formatIp, parseIp, type Family } from '#netlink/ip.ts'

/** An address within its subnet, or the subnet itself. `bytes` are the 4 or 16 of the address, host bits included. */
export interface Prefix { readonly family: Family; readonly bytes: Uint8Array; readonly length: number }

/** Reads `10.1.2.3/24` or `fd00::1/64`; undefined when it is none. */
export const parsePrefix = (text: string): Prefix | undefined => {
  const [address = '', length = '', ...rest] = text.split('/')
  const bytes = parseIp(address)
  if (bytes === undefined || rest.length > 0 || !/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined
  if (Number(length) > 8 * bytes.length) return undefined
  return { family: bytes.length === 4 ? 'ipv4' : 'ipv6', bytes, length: Number(length) }
}

export const formatPrefix = ({ bytes, length }: Prefix): string => `${formatIp(bytes)}/${length}`

/** The same prefix in canonical text (RFC 5952); text that is none stays as it is. */
export const canonicalPrefix = (text: string): string => {
  const prefix = parsePrefix(text)
  return prefix ? formatPrefix(prefix) : text
}

/** The first address of the subnet: all host bits zero. */
export const networkOf = ({ bytes, length }: Prefix): Uint8Array =>
  bytes.map((byte, i) => {
    const bits = Math.max(0, Math.min(8, length - 8 * i))
    return byte & 0xff << 8 - bits
  })

/** The subnet that an address with prefix length lies in, `10.1.2.3/24` gives `10.1.2.0/24`. */
export const subnetOf = (prefix: Prefix): string => formatPrefix({ ...prefix, bytes: networkOf(prefix) })

/** The address `offset` above the first one of the subnet, as text: 1 is the customary gateway. */
export const nthAddress = (prefix: Prefix, offset: number): string => {
  const bytes = networkOf(prefix)
  let carry = offset
  for (let i = bytes.length - 1; i >= 0 && carry > 0; i--) {
    carry += bytes[i]!
    bytes[i] = carry
    carry = Math.floor(carry / 256)
  }
  return formatIp(bytes)
}

/** Whether two prefixes of one family share addresses. */
export const overlaps = (one: Prefix, other: Prefix): boolean => {
  if (one.family !== other.family) return false
  const length = Math.min(one.length, other.length)
  const [whole, bits] = [length >> 3, length & 7]
  for (let i = 0; i < whole; i++) if (one.bytes[i] !== other.bytes[i]) return false
  return bits === 0 || (one.bytes[whole]! ^ other.bytes[whole]!) >> 8 - bits === 0
}
