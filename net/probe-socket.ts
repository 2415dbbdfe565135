// Datagrams and connections that find out whether checksums survive a link. Nothing here waits for anything.
import { formatIp, familyNumber, familyOf, parseIp } from '#netlink/ip.ts'
import { errnoOf, tolerate } from '#sys/errno.ts'
import {
  bind, close, connect, isDecided, isReadable, receiveFrom, sendTo, setsockopt, socket,
} from '#sys/libc.ts'
import type { Namespace } from './namespace.ts'

/** One end of a conversation. */
export interface End { readonly address: string; readonly port: number }
/** What an own end is bound to besides: the index of the link that it sends and receives by, no other. */
export interface OwnEnd extends End { readonly link: number }

const [SOCK_STREAM, SOCK_DGRAM] = [1, 2]
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000
// include/uapi/asm-generic/socket.h, include/uapi/linux/udp.h
const SOL_SOCKET = 1
const SO_NO_CHECK = 11
const SO_BINDTOIFINDEX = 62
const SOL_UDP = 17
const [UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX] = [101, 102]

// struct sockaddr_in and sockaddr_in6: include/uapi/linux/in.h, in6.h
const layout = { ipv4: { size: 16, address: 4 }, ipv6: { size: 28, address: 8 } } as const

const encode = ({ address, port }: End): Uint8Array => {
  const family = familyOf(address)
  const { size, address: at } = layout[family]
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, familyNumber(family), true)
  view.setUint16(2, port)
  bytes.set(parseIp(address)!, at)
  return bytes
}

const decode = (bytes: Uint8Array): End => {
  const view = new DataView(bytes.buffer)
  const family = view.getUint16(0, true) === familyNumber('ipv4') ? 'ipv4' : 'ipv6'
  const at = layout[family].address
  return { address: formatIp(bytes.slice(at, at + (family === 'ipv4' ? 4 : 16))), port: view.getUint16(2) }
}

const open = (host: Namespace, type: number, { link, ...end }: OwnEnd): number => {
  const fd = host.run(() => socket(familyNumber(familyOf(end.address)), type | SOCK_NONBLOCK_CLOEXEC, 0))
  try {
    setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, link)
    bind(fd, encode(end))
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

/** What a way that is not there, a filter or a full queue makes of a packet: it is lost, like any other. */
const losses = [
  'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EHOSTDOWN', 'EPERM', 'EACCES', 'EAGAIN', 'ENOBUFS', 'EINVAL', 'ENODEV',
  'EADDRNOTAVAIL', 'EADDRINUSE', 'ECONNREFUSED', 'EMSGSIZE', 'ENOMEM',
]

/** A datagram that has come. */
export interface Received { readonly data: Uint8Array; readonly from: End }

/** A UDP socket that sends with a checksum or without one (RFC 768; over IPv6 between such sockets: RFC 6935). */
export class ProbeSocket implements Disposable {
  readonly own: OwnEnd
  readonly #fd: number
  readonly #option: readonly [level: number, name: number]

  /** @throws SyscallError EADDRINUSE, EADDRNOTAVAIL, ENODEV */
  constructor(host: Namespace, own: OwnEnd) {
    const isIpv4 = familyOf(own.address) === 'ipv4'
    this.own = own
    this.#option = isIpv4 ? [SOL_SOCKET, SO_NO_CHECK] : [SOL_UDP, UDP_NO_CHECK6_TX]
    this.#fd = open(host, SOCK_DGRAM, own)
    if (!isIpv4) setsockopt(this.#fd, SOL_UDP, UDP_NO_CHECK6_RX, 1)
  }

  /** Sends a datagram, which may get lost. */
  send(data: Uint8Array, to: End, { checksum }: { readonly checksum: boolean }): void {
    setsockopt(this.#fd, ...this.#option, checksum ? 0 : 1)
    tolerate(losses, () => sendTo(this.#fd, data, encode(to)))
  }

  /**
   * What has come since it was asked last; costs one system call when that is nothing.
   * @param size of the longest datagram: of a longer one comes this much
   * @param most datagrams at a time; the others wait
   */
  *received(size: number, most: number): Generator<Received, void> {
    for (let i = 0; i < most && isReadable(this.#fd, 0); i++) {
      const [data, from] = [new Uint8Array(size), new Uint8Array(layout.ipv6.size)]
      // What was announced may turn out to have a wrong checksum when it is read.
      const length = tolerate(losses, () => receiveFrom(this.#fd, data, from))
      if (length !== undefined) yield { data: data.subarray(0, length), from: decode(from) }
    }
  }

  [Symbol.dispose](): void { close(this.#fd) }
}

/** Knocks at a TCP port where nobody need be: a host that gets the question says so. */
export class Knock implements Disposable {
  readonly #fd: number | undefined

  /** @param own its port is to be 0: any */
  constructor(host: Namespace, own: OwnEnd, to: End) {
    const fd = tolerate(losses, () => open(host, SOCK_STREAM, own))
    if (fd === undefined) return
    try {
      connect(fd, encode(to))
    } catch (error) {
      if (errnoOf(error) === 'EINPROGRESS') {
        this.#fd = fd
        return
      }
      close(fd)
      if (!losses.includes(errnoOf(error) ?? '')) throw error
    }
  }

  /** Whether an answer has come, whichever. */
  get isAnswered(): boolean { return this.#fd !== undefined && isDecided(this.#fd) }

  [Symbol.dispose](): void { if (this.#fd !== undefined) close(this.#fd) }
}
