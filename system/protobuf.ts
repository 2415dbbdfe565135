// As much of the Protocol Buffers encoding as a CRI pod needs: varints, strings and nested messages.

/** A message to send: pairs of field number and value; a list is a nested message. */
export type Message = readonly (readonly [field: number, value: number | string | Message])[]

const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [value & 0x7f | 0x80, ...varint(Math.floor(value / 0x80))]

/** The bytes of a message. */
export const encode = (message: Message): Buffer => Buffer.concat(message.map(([field, value]) => {
  if (typeof value === 'number') return Buffer.from([...varint(field << 3), ...varint(value)])
  const bytes = typeof value === 'string' ? Buffer.from(value) : encode(value)
  return Buffer.concat([Buffer.from([...varint(field << 3 | 2), ...varint(bytes.length)]), bytes])
}))

/** The strings and nested messages of one field, in order. @throws Error on a wire type that CRI does not use */
export const decode = (bytes: Buffer, wanted: number): Buffer[] => {
  const found: Buffer[] = []
  let at = 0
  const next = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes.readUInt8(at++)
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const key = next()
    const size = next()
    if ((key & 7) === 0) continue
    if ((key & 7) !== 2) throw new Error(`field ${key >> 3}: wire type ${key & 7}`)
    if (key >> 3 === wanted) found.push(bytes.subarray(at, at + size))
    at += size
  }
  return found
}
