// A network namespace as operators think of it: `ip -n NAME link`, `ip -n NAME addr`, ...
import { tolerate } from '#sys/errno.ts'
import { close, open, status, statusOf } from '#sys/file.ts'
import { enterNetns } from '#sys/libc.ts'
import type { Request } from '#netlink/message.ts'
import { Addrs } from '#netlink/route/addr.ts'
import { Links } from '#netlink/route/link.ts'
import { Routes } from '#netlink/route/route.ts'
import { Vlans } from '#netlink/route/vlan.ts'
import { protocol, Socket } from '#netlink/socket.ts'

const SELF = '/proc/thread-self/ns/net'

/** Runs `step` with the thread in another network namespace. Synchronous only: threads are switched, not processes. */
const within = <T>(fd: number, step: () => T): T => {
  const home = open(SELF)
  try {
    enterNetns(fd)
    try {
      return step()
    } finally {
      enterNetns(home)
    }
  } finally {
    close(home)
  }
}

/** One network namespace and the netlink sockets that were born in it. */
export class Namespace implements Disposable {
  /** The path that was given, kept to the letter. */
  readonly path: string
  readonly fd: number
  readonly link: Links
  readonly addr: Addrs
  readonly route: Routes
  readonly vlan: Vlans
  readonly #own: boolean
  /** For what few plugins speak of, such as rules and queueing disciplines. */
  readonly rtnetlink: Socket
  #netfilter: Socket | undefined
  #generic: Socket | undefined

  private constructor(path: string, own: boolean) {
    this.path = path
    this.#own = own
    this.fd = open(path)
    try {
      this.rtnetlink = this.run(() => new Socket(protocol.route))
    } catch (error) {
      close(this.fd)
      throw error
    }
    this.link = new Links(this.rtnetlink)
    this.addr = new Addrs(this.rtnetlink)
    this.route = new Routes(this.rtnetlink)
    this.vlan = new Vlans(this.rtnetlink)
  }

  /** The namespace that this process was started in. */
  static host(): Namespace { return new Namespace(SELF, true) }

  /** The namespace behind a path such as /run/netns/NAME. @throws SyscallError EINVAL when the path is none */
  static at(path: string): Namespace { return new Namespace(path, false) }

  /** The nfnetlink socket of this namespace, opened on first use. */
  get netfilter(): Socket { return this.#netfilter ??= this.run(() => new Socket(protocol.netfilter)) }

  /** The generic netlink socket of this namespace, opened on first use. */
  get generic(): Socket { return this.#generic ??= this.run(() => new Socket(protocol.generic)) }

  /** Runs `step` inside the namespace, for /proc/sys/net and sockets. It must not wait for anything asynchronous. */
  run<T>(step: () => T): T { return this.#own ? step() : within(this.fd, step) }

  /** Sends several route, address and link requests with one system call. */
  requestAll(requests: readonly Request[]): void { this.rtnetlink.requestAll(requests) }

  [Symbol.dispose](): void {
    this.rtnetlink[Symbol.dispose]()
    this.#netfilter?.[Symbol.dispose]()
    this.#generic?.[Symbol.dispose]()
    close(this.fd)
  }
}

/** Whether a path leads to the namespace that this thread is in. False when it leads nowhere. */
export const isOwnNetns = (path: string): boolean => {
  const there = tolerate(['ELOOP', 'ENAMETOOLONG', 'EACCES', 'EINVAL'], () => status(path))
  if (there === undefined) return false
  const fd = open(SELF)
  try {
    const here = statusOf(fd)
    return here.device === there.device && here.inode === there.inode
  } finally {
    close(fd)
  }
}
