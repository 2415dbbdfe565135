// A netlink socket. Blocking: the kernel works a request off while it is written, the answer is there to be read.
import { close, readInto, writeAll } from '#sys/file.ts'
import { tolerate } from '#sys/errno.ts'
import { setsockopt, socket } from '#sys/libc.ts'
import { attrs } from './attrs.ts'
import { ByteBuffer, readNumber } from './buffer.ts'
import { text, u32 } from './codec.ts'
import { NetlinkError } from './error.ts'
import { answer, flags, frame, header, messages, type Message, type Request } from './message.ts'

// include/linux/socket.h, include/uapi/linux/netlink.h
const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SOL_NETLINK = 270
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
// include/uapi/asm-generic/socket.h
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_SNDBUFFORCE = 32
/** What a message may measure without asking: less than net.core.wmem_default of every kernel. */
const DEFAULT_SEND_BUFFER = 1 << 16

export const protocol = { route: 0, netfilter: 12 } as const

const explanation = attrs({ message: [1, text], offset: [2, u32] })

/** The refusal in an error or done message, or undefined when it is a success. */
const refusal = (operation: string, { type, flags: set, body }: Message): NetlinkError | undefined => {
  const errno = -(readNumber(body, 0, 4) | 0)
  if (errno === 0) return undefined
  const quoted = type === answer.done ? 0 : set & flags.capped ? header.size : readNumber(body, 4, 4)
  const reason = set & flags.explained ? explanation.decode(body.subarray(4 + quoted)).message : undefined
  return new NetlinkError(operation, errno, reason)
}

const DUMP_ATTEMPTS = 5

// One for all sockets: a message is copied out before the next one is read. A dump fills at most 32 KiB of it at a
// time.
const datagram = new Uint8Array(1 << 16)

/** A netlink socket in the network namespace that the thread is in when it is made; it stays there for good. */
export class Socket implements Disposable {
  readonly #fd: number
  #sequence = 0

  /** @param family one of `protocol` @throws SyscallError */
  constructor(family: number) {
    this.#fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, family)
    setsockopt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1)
    if (family === protocol.route) setsockopt(this.#fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
  }

  /**
   * Sends one request and returns what came back before the acknowledgement. A dump that the kernel flags as
   * interrupted is repeated.
   * @throws NetlinkError when the kernel refuses, or when a dump does not come to rest
   */
  request(request: Request): Message[] {
    for (let attempt = 1; ; attempt++) {
      const replies = this.#exchange(request)
      if (!replies.some(reply => reply.flags & flags.dumpInterrupted)) return replies
      if (attempt === DUMP_ATTEMPTS) {
        throw new NetlinkError(request.operation, 4, 'the dump was interrupted again and again')
      }
    }
  }

  /**
   * Sends a request for one thing, which the kernel answers with that thing or a refusal.
   * @throws NetlinkError when the kernel refuses
   */
  get(request: Request): Message {
    const sequence = this.#send(request, 0)
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue
        const failure = message.type === answer.error ? refusal(request.operation, message) : undefined
        if (failure) throw failure
        return message
      }
    }
  }

  /**
   * Sends several requests in one write; the kernel works them off in order, each on its own.
   * @throws NetlinkError for the first that was refused; the later ones have been tried all the same
   */
  requestAll(requests: readonly Request[]): void {
    const out = new ByteBuffer(1024)
    const open = new Map<number, Request>()
    for (const request of requests) {
      open.set(++this.#sequence, request)
      frame(out, request, this.#sequence, flags.ack)
    }
    writeAll(this.#fd, out.bytes)
    this.#settle(open)
  }

  /**
   * Sends requests as one transaction of nfnetlink: all of them happen, or none.
   * @throws NetlinkError for the first that was refused
   */
  transaction(begin: Request, requests: readonly Request[], end: Request): void {
    const out = new ByteBuffer(4096)
    const open = new Map<number, Request>()
    const enclosing = ++this.#sequence
    frame(out, begin, enclosing, 0)
    requests.forEach((request, i) => {
      open.set(++this.#sequence, request)
      // Refusals come unasked; one acknowledgement, of the last, keeps a long batch from overrunning our receive
      // buffer.
      frame(out, request, this.#sequence, i === requests.length - 1 ? flags.ack : 0)
    })
    const last = this.#sequence
    frame(out, end, ++this.#sequence, 0)
    // A transaction is one message, however long.
    if (out.length > DEFAULT_SEND_BUFFER) this.#widen(2 * out.length)
    writeAll(this.#fd, out.bytes)

    let first: NetlinkError | undefined
    for (let pending = true; pending;) {
      for (const message of this.#receive()) {
        if (message.type !== answer.error) continue
        const operation = (open.get(message.sequence) ?? begin).operation
        first ??= refusal(operation, message)
        // A failure of the whole batch is answered under the number of its opening message, and nothing follows.
        if (message.sequence === last || message.sequence === enclosing) pending = false
      }
    }
    if (first) throw first
  }

  [Symbol.dispose](): void { close(this.#fd) }

  /** Makes room for a long message; in a user namespace only as far as net.core.wmem_max goes. */
  #widen(bytes: number): void {
    const forced = tolerate(['EPERM'], () => { setsockopt(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes); return true })
    if (!forced) setsockopt(this.#fd, SOL_SOCKET, SO_SNDBUF, bytes)
  }

  #receive(): readonly Message[] { return messages(datagram.subarray(0, readInto(this.#fd, datagram))) }

  #send(request: Request, extraFlags: number): number {
    const out = new ByteBuffer()
    frame(out, request, ++this.#sequence, extraFlags)
    writeAll(this.#fd, out.bytes)
    return this.#sequence
  }

  #exchange(request: Request): Message[] {
    const sequence = this.#send(request, flags.ack)
    const replies: Message[] = []
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue
        if (message.type !== answer.error && message.type !== answer.done) {
          replies.push(message)
          continue
        }
        const failure = refusal(request.operation, message)
        if (failure) throw failure
        return replies
      }
    }
  }

  #settle(open: Map<number, Request>): void {
    let first: NetlinkError | undefined
    while (open.size > 0) {
      for (const message of this.#receive()) {
        const request = open.get(message.sequence)
        if (request === undefined || message.type !== answer.error) continue
        open.delete(message.sequence)
        first ??= refusal(request.operation, message)
      }
    }
    if (first) throw first
  }
}
