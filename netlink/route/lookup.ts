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

const routeAttrs = attrs({
  dst: [1, ip], oif: [4, u32], gateway: [5, ip], prefSrc: [7, ip], metrics: [8, nest(attrs({ mtu: [2, u32] }))],
})

/** The way to an address: by which link, and what else is known about it. */
export interface Way {
  readonly dev: number
  readonly via: string | undefined
  /** The address that the host takes for itself on it. */
  readonly src: string | undefined
  /** The largest packet, where the route or what has been learnt about the path says less than the link. */
  readonly mtu: number | undefined
}

const request = (address: string): Request => ({
  operation: `route get ${address}`, type: RTM_GETROUTE, flags: 0,
  body(out) {
    const family = familyOf(address)
    rtmsg.encode(out, { family: familyNumber(family), dstLength: family === 'ipv4' ? 32 : 128 })
    routeAttrs.encode(out, { dst: address })
  },
})

/** The ways to many addresses, in their order; undefined for those to which there is none. */
export const waysTo = (socket: Socket, addresses: readonly string[]): (Way | undefined)[] =>
  socket.getAll(addresses.map(request)).map(found => {
    if (found instanceof NetlinkError) return undefined
    const { type } = rtmsg.decode(found.body)
    const { oif, gateway, prefSrc, metrics } = routeAttrs.decode(found.body.subarray(rtmsg.size))
    if (oif === undefined || type !== RTN_UNICAST && type !== RTN_LOCAL) return undefined
    return { dev: oif, via: gateway, src: prefSrc, mtu: metrics?.mtu }
  })
