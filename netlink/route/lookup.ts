// ip route get: the way that a packet would take. Answers of include/uapi/linux/rtnetlink.h.
import { attrs, nest } from '../attrs.ts'
import { ip, u32 } from '../codec.ts'
import { familyNumber, familyOf } from '../ip.ts'
import type { Request } from '../message.ts'
import type { Socket } from '../socket.ts'
import { NetlinkError } from '../error.ts'
import { RTM_GETROUTE, rtmsg } from './route.ts'

const RTN_UNICAST = 1
const RTN_LOCAL = 2

const question = attrs({ dst: [1, ip] })
// No more of the answer than is asked for: there are thousands of them.
const routeAttrs = attrs({ oif: [4, u32], metrics: [8, nest(attrs({ mtu: [2, u32] }))] })

/** The way to an address: by which link, and how wide. */
export interface Way {
  readonly dev: number
  /** The largest packet, where the route or what has been learnt about the path says less than the link. */
  readonly mtu: number | undefined
}

const request = (address: string): Request => ({
  operation: `route get ${address}`, type: RTM_GETROUTE, flags: 0,
  body(out) {
    const family = familyOf(address)
    rtmsg.encode(out, { family: familyNumber(family), dstLength: family === 'ipv4' ? 32 : 128 })
    question.encode(out, { dst: address })
  },
})

/** The ways to many addresses, in their order; undefined for those to which there is none. */
export const waysTo = (socket: Socket, addresses: readonly string[]): (Way | undefined)[] =>
  socket.getAll(addresses.map(request), ({ body }) => {
    const { type } = rtmsg.decode(body)
    const { oif, metrics } = routeAttrs.decode(body.subarray(rtmsg.size))
    if (oif === undefined || type !== RTN_UNICAST && type !== RTN_LOCAL) return undefined
    return { dev: oif, mtu: metrics?.mtu }
  }).map(way => way instanceof NetlinkError ? undefined : way)
