// Sockets that wait for somebody to speak to them, `ss -lnu`: include/uapi/linux/sock_diag.h and inet_diag.h.
import { attrs, struct } from './attrs.ts'
import { be16, be32, ip, u32, u8 } from './codec.ts'
import { familyNumber, type Family } from './ip.ts'
import { flags, type Request } from './message.ts'
import type { Socket } from './socket.ts'

const SOCK_DIAG_BY_FAMILY = 20

// struct inet_diag_sockid, with the source address behind the ports
const ports = { sourcePort: be16, destinationPort: be16 } as const
const rest = { d0: be32, d1: be32, d2: be32, d3: be32, interface: u32, cookie0: u32, cookie1: u32 } as const

/** struct inet_diag_req_v2 */
const question = struct({
  family: u8, protocol: u8, extensions: u8, pad: u8, states: u32, ...ports, s0: be32, s1: be32, s2: be32, s3: be32,
  ...rest,
})
/** struct inet_diag_msg, in front of the source address and behind it */
const head = struct({ family: u8, state: u8, timer: u8, retransmissions: u8, ...ports })
const tail = struct({ ...rest, expires: u32, readQueue: u32, writeQueue: u32, user: u32, inode: u32 })
const sizes = { ipv4: 4, ipv6: 16 } as const
const ADDRESS_ROOM = 16

const messageAttrs = attrs({ onlyIpv6: [11, u8] })

// enum of include/net/tcp_states.h; UDP sockets that are not connected, and SCTP endpoints, are closed
const states = { tcp: 1 << 10, udp: 1 << 7, sctp: 1 << 10 | 1 << 7 } as const
/** IPPROTO_* of include/uapi/linux/in.h. */
const numbers = { tcp: 6, udp: 17, sctp: 132 } as const

/** A socket that waits on a port of an address, or of all when that is `0.0.0.0` or `::`. */
export interface BoundSocket {
  readonly address: string
  readonly port: number
  /** An IPv6 one that takes no IPv4. */
  readonly onlyIpv6: boolean
  /** What /proc/PID/fd shows as `socket:[INODE]`. */
  readonly inode: number
}

/**
 * The sockets of a family that wait: TCP and SCTP ones that listen, UDP ones that are not connected.
 * @param socket of protocol `diagnosis`
 * @throws NetlinkError ENOENT when the kernel does not tell this protocol's
 */
export const waiting = (socket: Socket, family: Family, protocol: keyof typeof numbers): BoundSocket[] => {
  const request: Request = {
    operation: `ss -l ${protocol} ${family}`, type: SOCK_DIAG_BY_FAMILY, flags: flags.dump,
    body: out => question.encode(out, {
      family: familyNumber(family), protocol: numbers[protocol], states: states[protocol],
    }),
  }
  return socket.request(request).map(({ body }) => {
    const behind = body.subarray(head.size + ADDRESS_ROOM)
    return {
      address: ip.decode(body.subarray(head.size, head.size + sizes[family])),
      port: head.decode(body).sourcePort,
      onlyIpv6: messageAttrs.decode(behind.subarray(tail.size)).onlyIpv6 === 1,
      inode: tail.decode(behind).inode,
    }
  })
}
