// What somebody else does to links, routes and neighbours: the kernel's announcements, read without waiting for them.
// Numbers: include/uapi/linux/rtnetlink.h.
import { errnoOf } from '#sys/errno.ts'
import { close, writeAll } from '#sys/file.ts'
import { isReadable, read, setsockopt, socket } from '#sys/libc.ts'
import { ByteBuffer } from '../buffer.ts'
import { header, messages } from '../message.ts'
import { ifaddrmsg } from './addr.ts'
import { ifinfomsg } from './kinds.ts'
import { ndmsg } from './neigh.ts'
import { RTM_NEWROUTE, rtmsg } from './route.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NLMSG_NOOP = 1
/** RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE */
const groups = [1, 3, 5, 7, 9, 11]
const [RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_DELROUTE, RTM_DELNEIGH] = [16, 17, 20, 21, 25, 29]

/**
 * One announcement: `addresses` of a link have changed, a `link` has changed or gone, a `neighbour` or a `route` (by
 * its protocol number) has been removed or a route been added. `overrun`: there were more than fit.
 */
export type Announcement =
  | { readonly about: 'link' | 'neighbour' | 'addresses'; readonly index: number }
  | { readonly about: 'route'; readonly protocol: number; readonly removed: boolean }
  | { readonly about: 'overrun' }

const datagram = new Uint8Array(1 << 15)

const understood = (type: number, body: Uint8Array): Announcement | undefined => {
  switch (type) {
    case RTM_NEWLINK: case RTM_DELLINK: return { about: 'link', index: ifinfomsg.decode(body).index }
    case RTM_DELNEIGH: return { about: 'neighbour', index: ndmsg.decode(body).index }
    case RTM_NEWADDR: case RTM_DELADDR: return { about: 'addresses', index: ifaddrmsg.decode(body).index }
    case RTM_NEWROUTE: case RTM_DELROUTE:
      return { about: 'route', protocol: rtmsg.decode(body).protocol, removed: type === RTM_DELROUTE }
    default: return undefined
  }
}

/** Listens in the network namespace that the thread is in when it is made. */
export class Monitor implements Disposable {
  readonly #fd: number

  /** @throws SyscallError */
  constructor() {
    this.#fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0)
    // The kernel gives a socket its address when it first sends something, and announces nothing to one without.
    const out = new ByteBuffer(header.size)
    header.encode(out, { length: header.size, type: NLMSG_NOOP, flags: 0, sequence: 0, port: 0 })
    writeAll(this.#fd, out.bytes)
    for (const group of groups) setsockopt(this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
  }

  /** What has been announced since it was asked last; costs one system call when that is nothing. */
  *news(): Generator<Announcement, void> {
    while (isReadable(this.#fd, 0)) {
      let length: number
      try {
        length = read(this.#fd, datagram)
      } catch (error) {
        if (errnoOf(error) !== 'ENOBUFS') throw error
        yield { about: 'overrun' }
        continue
      }
      for (const { type, body } of messages(datagram.subarray(0, length))) {
        const announcement = understood(type, body)
        if (announcement) yield announcement
      }
    }
  }

  [Symbol.dispose](): void { close(this.#fd) }
}
