// Messages of D-Bus whose arguments are texts: D-Bus Specification 0.43, "Type System" and "Message Protocol".

const LITTLE = 0x6c
const PROTOCOL = 1
const METHOD_CALL = 1
export const METHOD_RETURN = 2
export const ERROR = 3
const NO_AUTO_START = 2
const field = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, signature: 8 } as const
/** Of a message in front: its kind and the lengths of what follows. */
export const FIXED = 16

const utf8 = new TextEncoder()

/** Who is asked, and for what. */
export interface Method {
  readonly destination: string
  readonly path: string
  readonly interface: string
  readonly member: string
}

const pad = (out: number[], alignment: number): void => { while (out.length % alignment > 0) out.push(0) }

const putNumber = (out: number[], value: number): void => {
  pad(out, 4)
  out.push(value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff, value >>> 24)
}

const putText = (out: number[], text: string): void => {
  const bytes = utf8.encode(text)
  putNumber(out, bytes.length)
  out.push(...bytes, 0)
}

const putSignature = (out: number[], signature: string): void => {
  out.push(signature.length, ...utf8.encode(signature), 0)
}

const putField = (out: number[], code: number, type: 'o' | 's' | 'g', value: string): void => {
  pad(out, 8)
  out.push(code)
  putSignature(out, type)
  if (type === 'g') putSignature(out, value)
  else putText(out, value)
}

/** A call whose arguments are texts. */
export const encodeCall = (method: Method, args: readonly string[], serial: number): Uint8Array => {
  const body: number[] = []
  for (const text of args) putText(body, text)
  const fields: number[] = []
  putField(fields, field.path, 'o', method.path)
  putField(fields, field.member, 's', method.member)
  putField(fields, field.interface, 's', method.interface)
  putField(fields, field.destination, 's', method.destination)
  if (args.length > 0) putField(fields, field.signature, 'g', 's'.repeat(args.length))
  const out = [LITTLE, METHOD_CALL, NO_AUTO_START, PROTOCOL]
  for (const number of [body.length, serial, fields.length]) putNumber(out, number)
  out.push(...fields)
  pad(out, 8)
  return Uint8Array.from([...out, ...body])
}

/** Reads values one after another; alignment counts from the beginning of the message. */
class Reader {
  readonly #view: DataView
  readonly #little: boolean
  at: number
  constructor(message: Uint8Array, at: number) {
    this.#view = new DataView(message.buffer, message.byteOffset, message.length)
    this.#little = message[0] === LITTLE
    this.at = at
  }

  align(alignment: number): void { this.at += -this.at & alignment - 1 }
  byte(): number { return this.#view.getUint8(this.at++) }

  number(): number {
    this.align(4)
    this.at += 4
    return this.#view.getUint32(this.at - 4, this.#little)
  }

  text(length = this.number()): string {
    const bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.at, length)
    this.at += length + 1
    return new TextDecoder().decode(bytes)
  }

  /** A value of a simple type; undefined when it is of another. */
  value(type: string | undefined): unknown {
    switch (type) {
      case 's': case 'o': return this.text()
      case 'g': return this.text(this.byte())
      case 'u': case 'i': return this.number()
      case 'b': return this.number() !== 0
      default: return undefined
    }
  }
}

/** Something that came from the bus; `value` is the first one of its body. */
export interface Reply {
  readonly type: number
  readonly serial: unknown
  readonly errorName: unknown
  readonly value: unknown
}

/** Reads a whole message. */
export const decodeReply = (message: Uint8Array): Reply => {
  const fields = new Map<number, unknown>()
  const reader = new Reader(message, FIXED - 4)
  for (const end = reader.number() + FIXED; reader.at < end;) {
    reader.align(8)
    const code = reader.byte()
    fields.set(code, reader.value(reader.text(reader.byte())))
  }
  reader.align(8)
  const signature = fields.get(field.signature)
  return {
    type: message[1]!, serial: fields.get(field.replySerial), errorName: fields.get(field.errorName),
    value: reader.value(typeof signature === 'string' ? signature[0] : undefined),
  }
}

/** How long the message is that begins with these bytes. */
export const lengthOf = (start: Uint8Array): number => {
  const reader = new Reader(start, 4)
  const body = reader.number()
  reader.at = FIXED - 4
  return (FIXED + reader.number() + 7 & ~7) + body
}
