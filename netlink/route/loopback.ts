// ip -6 route add local ::1 dev LINK table local. The kernel takes in packets to ::1 on the link of that route only
// (rt6_need_strict of net/ipv6/route.c), which is `lo`; answers to what came from ::1 and was translated on its way out
// need another for the link that they come by. Packets that say ::1 on the wire are dropped before (ipv6_rcv).
import { tolerate } from '#sys/errno.ts'
import { attrs } from '../attrs.ts'
import { ip, u32 } from '../codec.ts'
import { familyNumber } from '../ip.ts'
import { flags } from '../message.ts'
import type { Socket } from '../socket.ts'
import { RT_TABLE_LOCAL, RTM_GETROUTE, RTM_NEWROUTE, rtmsg } from './route.ts'

const RTM_DELROUTE = 25
// include/uapi/linux/rtnetlink.h
const RTN_LOCAL = 2
const RTPROT_STATIC = 4
/** Behind the route by `lo`, and told by it from what others may have made. */
const METRIC = 2048

const LOOPBACK = '::1'
const loopbackAttrs = attrs({ dst: [1, ip], iif: [3, u32], oif: [4, u32], priority: [6, u32] })

const change = (socket: Socket, verb: 'add' | 'del', dev: number): void => {
  // Exclusive would be one route of this metric for all links.
  const [type, flag] = verb === 'add' ? [RTM_NEWROUTE, flags.create] : [RTM_DELROUTE, 0]
  socket.request({
    operation: `route ${verb} local ${LOOPBACK}`, type, flags: flag,
    body(out) {
      rtmsg.encode(out, {
        family: familyNumber('ipv6'), dstLength: 128, table: RT_TABLE_LOCAL, type: RTN_LOCAL, protocol: RTPROT_STATIC,
      })
      loopbackAttrs.encode(out, { dst: LOOPBACK, oif: dev, priority: METRIC })
    },
  })
}

/** Has packets to ::1 taken in that come by a link; fine when they are. */
export const takeInLoopback = (socket: Socket, dev: number): void => {
  tolerate(['EEXIST'], () => change(socket, 'add', dev))
}

/** Ends that; fine when it never began. */
export const refuseLoopback = (socket: Socket, dev: number): void => {
  tolerate(['ESRCH', 'ENODEV'], () => change(socket, 'del', dev))
}

/** Whether packets to ::1 are taken in that come by a link. */
export const takesInLoopback = (socket: Socket, dev: number): boolean =>
  tolerate(['ENETUNREACH', 'EHOSTUNREACH', 'ENODEV', 'EOPNOTSUPP', 'EAFNOSUPPORT'], () => {
    const { body } = socket.get({
      operation: `route get ${LOOPBACK}`, type: RTM_GETROUTE, flags: 0,
      body(out) {
        rtmsg.encode(out, { family: familyNumber('ipv6'), dstLength: 128 })
        loopbackAttrs.encode(out, { dst: LOOPBACK, iif: dev })
      },
    })
    return rtmsg.decode(body).type === RTN_LOCAL
  }) ?? false
