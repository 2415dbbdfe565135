// ip address. Names and numbers follow the kernel's rt-addr netlink spec (Documentation/netlink/specs/rt-addr.yaml).
import { tolerate } from '#sys/errno.ts'
import { attrs, struct } from '../attrs.ts'
import { ip, u32, u8 } from '../codec.ts'
import { familyNumber, familyOf, formatIp, parseIp } from '../ip.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'

export const RTM_NEWADDR = 20
const RTM_DELADDR = 21
export const RTM_GETADDR = 22

/** struct ifaddrmsg of include/uapi/linux/if_addr.h. */
export const ifaddrmsg = struct({ family: u8, prefixLength: u8, flags: u8, scope: u8, index: u32 })
const addrAttrs = attrs({ address: [1, ip], local: [2, ip], broadcast: [4, ip], flags: [8, u32] })

/** include/uapi/linux/if_addr.h */
export const IFA_F_NODAD = 0x02
const IFA_F_DADFAILED = 0x08
export const IFA_F_TENTATIVE = 0x40
const IFA_F_NOPREFIXROUTE = 0x200

/** An address on a link. `address` is in CIDR form, `10.1.2.3/24`. */
export interface Addr {
  readonly index: number
  readonly address: string
  readonly tentative: boolean
  readonly dadFailed: boolean
  /** 0 global, 253 link, 254 host: include/uapi/linux/rtnetlink.h. */
  readonly scope: number
}

/** A wish for an address. */
export interface AddrSpec {
  readonly index: number
  readonly address: string
  /** Has IPv6 use it at once, without duplicate address detection. */
  readonly noDad?: boolean
  /** The kernel makes no route to the address's subnet. */
  readonly noPrefixRoute?: boolean
}

/** The IPv4 broadcast address of a prefix shorter than /31, as `ip addr add ... brd +` computes it. */
const broadcastOf = (address: string, prefixLength: number): string | undefined => {
  const bytes = parseIp(address)
  if (bytes?.length !== 4 || prefixLength >= 31) return undefined
  const host = 2 ** (32 - prefixLength) - 1
  return formatIp(bytes.map((byte, i) => byte | host >>> 8 * (3 - i)))
}

const request = (
  operation: string, type: number, flag: number, { index, address, noDad, noPrefixRoute }: AddrSpec,
): Request => {
  const [text = '', prefix = ''] = address.split('/')
  const prefixLength = Number(prefix)
  const set = (noDad ? IFA_F_NODAD : 0) | (noPrefixRoute ? IFA_F_NOPREFIXROUTE : 0)
  return {
    operation: `${operation} ${address}`, type, flags: flag,
    body(out) {
      ifaddrmsg.encode(out, { family: familyNumber(familyOf(text)), prefixLength, index })
      addrAttrs.encode(out, {
        local: text, address: text, broadcast: broadcastOf(text, prefixLength), flags: set || undefined,
      })
    },
  }
}

/** The `ip address` of one network namespace. */
export class Addrs {
  readonly #socket: Socket
  constructor(socket: Socket) { this.#socket = socket }

  /** ip address add. @throws NetlinkError EEXIST when it is there */
  add(spec: AddrSpec): void { this.#socket.request(this.adding(spec)) }

  /** The request behind `add`, for sending several at once. */
  adding(spec: AddrSpec): Request { return request('addr add', RTM_NEWADDR, flags.create | flags.excl, spec) }

  /** ip address add, unless it is there. @returns whether it was added */
  ensure(spec: AddrSpec): boolean { return tolerate(['EEXIST'], () => { this.add(spec); return true }) ?? false }

  /** ip address del. @throws NetlinkError EADDRNOTAVAIL when it is not there */
  del(spec: AddrSpec): void { this.#socket.request(request('addr del', RTM_DELADDR, 0, spec)) }

  /** ip address show, of all links or of one. */
  list(index = 0): Addr[] {
    const replies = this.#socket.request({
      operation: 'addr show', type: RTM_GETADDR, flags: flags.dump, body: out => ifaddrmsg.encode(out, { index }),
    })
    return replies.map(({ body }) => {
      const head = ifaddrmsg.decode(body)
      const { local, address, flags: wide } = addrAttrs.decode(body.subarray(ifaddrmsg.size))
      const set = wide ?? head.flags
      return {
        index: head.index,
        address: `${local ?? address ?? ''}/${head.prefixLength}`,
        tentative: (set & IFA_F_TENTATIVE) !== 0,
        dadFailed: (set & IFA_F_DADFAILED) !== 0,
        scope: head.scope,
      }
    })
  }
}
