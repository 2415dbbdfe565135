// The growing buffer that messages are written into. Little-endian machines only: the kernel's own order.

const roundUp = (length: number): number => (length + 3) & ~3

export class ByteBuffer {
  #bytes: Uint8Array
  /** Number of bytes written so far. */
  length = 0

  constructor(capacity = 256) { this.#bytes = new Uint8Array(capacity) }

  /** What has been written; shares memory with the buffer. */
  get bytes(): Uint8Array { return this.#bytes.subarray(0, this.length) }

  /** Makes room for `size` zero bytes. @returns where they start */
  reserve(size: number): number {
    const at = this.length
    if (at + size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, at + size))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.length = at + size
    return at
  }

  append(data: Uint8Array): void {
    const at = this.reserve(data.length) // first, as it may put other memory in place
    this.#bytes.set(data, at)
  }

  /** Pads with zeros to a multiple of four: NLMSG_ALIGN and NLA_ALIGN of include/uapi/linux/netlink.h. */
  align(): void { this.reserve(roundUp(this.length) - this.length) }

  /** Writes an unsigned number of `size` bytes over what stands at `at`, least significant byte first. */
  set(at: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.#bytes[at + i] = value >>> 8 * i
  }

  /** The same, most significant byte first. */
  setNetwork(at: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.#bytes[at + size - 1 - i] = value >>> 8 * i
  }
}

/**
 * The unsigned number in bytes `at` to `at + size`, least significant first.
 * @throws RangeError when they are not there
 */
export const readNumber = (bytes: Uint8Array, at: number, size: number): number => {
  if (at + size > bytes.length) throw new RangeError(`expected ${size} bytes at ${at}, got ${bytes.length - at}`)
  let value = 0
  for (let i = size - 1; i >= 0; i--) value = value << 8 | bytes[at + i]!
  return value >>> 0
}
