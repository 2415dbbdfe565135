// A netlink socket. Blocking: the kernel works a request off while it is written, the answer is there to be read.
import { close, readInto, writeAll } from '#sys/file.ts'
import { tolerate } from '#sys/errno.ts'
import { isReadable, setsockopt, socket } from '#sys/libc.ts'
import { ByteBuffer } from './buffer.ts'
import { NetlinkError } from './error.ts'
import { answer, flags, frame, messages, type Message, type Request } from './message.ts'
import { refusal } from './refusal.ts'
import { makeRoom } from './send-buffer.ts'

// include/linux/socket.h, include/uapi/linux/netlink.h
const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SOL_NETLINK = 270
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12

export const protocol = { route: 0, diagnosis: 4, netfilter: 12, generic: 16 } as const

const ENOBUFS = 105 // include/uapi/asm-generic/errno.h

const DUMP_ATTEMPTS = 5

const kept = (message: Message): Message => ({ ...message, body: message.body.slice() })

// One for all sockets: what is kept of a message is copied out before the next one is read. A dump fills at most
// 32 KiB of it at a time.
const datagram = new Uint8Array(1 << 16)

/** One of several requests that the kernel has refused. */
export interface Refusal { readonly request: Request; readonly error: NetlinkError }

// So many refusals, or answers, fit the receive buffer of every kernel (net.core.rmem_default) whatever they say.
const REFUSALS_AT_ONCE = 64
const ANSWERS_AT_ONCE = 32

/** A netlink socket in the network namespace that the thread is in when it is made; it stays there for good. */
export class Socket implements Disposable {
  readonly #fd: number
  #sequence = 0
  /** A read has failed, so that answers may be left. */
  #isBehind = false

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
  request(request: Request): Message[] { return this.dump(request, kept) }

  /**
   * The same where thousands of messages come back.
   * @param read makes of each what is to be kept; the message is gone afterwards
   */
  dump<T>(request: Request, read: (message: Message) => T): T[] {
    for (let attempt = 1; ; attempt++) {
      const replies = this.#exchange(request, read)
      if (replies !== 'interrupted') return replies
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
        return kept(message)
      }
    }
  }

  /**
   * Sends requests for one thing each, many in one write.
   * @param read makes of each answer what is to be kept; the message is gone afterwards
   * @returns for each what was read or the kernel's refusal
   */
  getAll<T>(requests: readonly Request[], read: (message: Message) => T): (T | NetlinkError)[] {
    const answers: (T | NetlinkError)[] = []
    for (let at = 0; at < requests.length; at += ANSWERS_AT_ONCE) {
      const batch = requests.slice(at, at + ANSWERS_AT_ONCE)
      const first = this.#sendAll(batch, 0)
      for (let open = batch.length; open > 0;) {
        for (const message of this.#receive()) {
          const request = batch[message.sequence - first]
          if (request === undefined) continue
          const failure = message.type === answer.error ? refusal(request.operation, message) : undefined
          answers[at + message.sequence - first] = failure ?? read(message)
          open--
        }
      }
    }
    return answers
  }

  /**
   * Sends several requests in one write; the kernel works them off in order, each on its own.
   * @throws NetlinkError for the first that was refused; the later ones have been tried all the same
   */
  requestAll(requests: readonly Request[]): void {
    const [first] = this.attemptAll(requests)
    if (first) throw first.error
  }

  /**
   * Sends any number of requests, many in one write; the kernel works them off in order, each on its own.
   * @returns those that were refused
   */
  attemptAll(requests: readonly Request[]): Refusal[] {
    const refusals: Refusal[] = []
    for (let at = 0; at < requests.length; at += REFUSALS_AT_ONCE) {
      const batch = requests.slice(at, at + REFUSALS_AT_ONCE)
      const first = this.#sendAll(batch, flags.ack)
      const last = this.#sequence
      for (let pending = true; pending;) {
        for (const message of this.#receive()) {
          const request = batch[message.sequence - first]
          if (request === undefined || message.type !== answer.error) continue
          const error = refusal(request.operation, message)
          if (error) refusals.push({ request, error })
          if (message.sequence === last) pending = false
        }
      }
    }
    return refusals
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
    makeRoom(this.#fd, out.length)
    this.#write(out.bytes)

    let first: NetlinkError | undefined
    /** @returns whether that was all */
    const read = (): boolean => {
      let isAll = false
      for (const message of this.#receive()) {
        if (message.type !== answer.error) continue
        const operation = (open.get(message.sequence) ?? begin).operation
        first ??= refusal(operation, message)
        // A failure of the whole batch is answered under the number of its opening message, and nothing follows.
        isAll ||= message.sequence === last || message.sequence === enclosing
      }
      return isAll
    }
    const isKnown = tolerate(['ENOBUFS'], () => { while (!read()); return true })
    if (!isKnown) {
      // There are more refusals than there is room for. The first ones have had it; the last may never come.
      while (first === undefined && isReadable(this.#fd, 0)) read()
      this.#isBehind = true
      first ??= new NetlinkError(begin.operation, ENOBUFS, 'the answer is lost')
    }
    if (first) throw first
  }

  [Symbol.dispose](): void { close(this.#fd) }

  #write(requests: Uint8Array): void {
    if (this.#isBehind) this.#catchUp()
    writeAll(this.#fd, requests)
  }

  #receive(): readonly Message[] {
    this.#isBehind = true
    const received = messages(datagram.subarray(0, readInto(this.#fd, datagram)))
    this.#isBehind = false
    return received
  }

  /**
   * Reads what an exchange has left that broke off: the kernel refuses a second dump beside the first, and drops
   * without another word what a full buffer has no room for.
   */
  #catchUp(): void {
    while (isReadable(this.#fd, 0)) tolerate(['ENOBUFS'], () => readInto(this.#fd, datagram))
    this.#isBehind = false
  }

  #send(request: Request, extraFlags: number): number {
    const out = new ByteBuffer()
    frame(out, request, ++this.#sequence, extraFlags)
    this.#write(out.bytes)
    return this.#sequence
  }

  /** @param lastFlags for the last one only: refusals come unasked @returns the number of the first */
  #sendAll(requests: readonly Request[], lastFlags: number): number {
    const out = new ByteBuffer(1024)
    const first = this.#sequence + 1
    requests.forEach((request, i) =>
      frame(out, request, ++this.#sequence, i === requests.length - 1 ? lastFlags : 0))
    this.#write(out.bytes)
    return first
  }

  #exchange<T>(request: Request, read: (message: Message) => T): T[] | 'interrupted' {
    const sequence = this.#send(request, flags.ack)
    const replies: T[] = []
    let interrupted = false
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue
        if (message.type !== answer.error && message.type !== answer.done) {
          interrupted ||= (message.flags & flags.dumpInterrupted) !== 0
          replies.push(read(message))
          continue
        }
        const failure = refusal(request.operation, message)
        if (failure) throw failure
        return interrupted ? 'interrupted' : replies
      }
    }
  }
}
