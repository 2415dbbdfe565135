// Message headers and framing: struct nlmsghdr of include/uapi/linux/netlink.h.
import { struct } from './attrs.ts'
import { ByteBuffer } from './buffer.ts'
import { u16, u32 } from './codec.ts'

export const flags = {
  request: 1, multi: 2, ack: 4, dumpInterrupted: 0x10,
  replace: 0x100, excl: 0x200, create: 0x400, append: 0x800, dump: 0x300,
  /** On an answer: the refused message is not quoted (NLM_F_CAPPED). */
  capped: 0x100,
  /** On an answer: attributes with the kernel's words follow (NLM_F_ACK_TLVS). */
  explained: 0x200,
} as const

/** Answer types below the families' own: NLMSG_ERROR and NLMSG_DONE. */
export const answer = { error: 2, done: 3 } as const

export const header = struct({ length: u32, type: u16, flags: u16, sequence: u32, port: u32 })

/** One thing to ask of the kernel. `operation` is how `ip` or `nft` would say it, for error messages. */
export interface Request {
  readonly operation: string
  readonly type: number
  readonly flags: number
  readonly body: (out: ByteBuffer) => void
}

/** One message of the kernel's answer. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Uint8Array
}

/** Appends a request to `out` as one netlink message. */
export const frame = (out: ByteBuffer, request: Request, sequence: number, extraFlags: number): void => {
  const start = out.length
  header.encode(out, { type: request.type, flags: request.flags | flags.request | extraFlags, sequence })
  request.body(out)
  out.set(start, 4, out.length - start)
  out.align()
}

/** Splits one datagram into its messages, whose bodies share its memory. */
export const messages = (datagram: Uint8Array): readonly Message[] => {
  const found: Message[] = []
  for (let at = 0; at + header.size <= datagram.length;) {
    const { length, type, flags: set, sequence } = header.decode(datagram.subarray(at))
    if (length < header.size || at + length > datagram.length) {
      throw new RangeError(`netlink message of ${length} bytes in a rest of ${datagram.length - at}`)
    }
    found.push({ type, flags: set, sequence, body: datagram.subarray(at + header.size, at + length) })
    at += (length + 3) & ~3
  }
  return found
}
