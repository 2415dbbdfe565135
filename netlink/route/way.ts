// ip route get: by which link the host sends to an address.
import { tolerate } from '#sys/errno.ts'
import { attrs } from '../attrs.ts'
import { ip, u32 } from '../codec.ts'
import { familyNumber, familyOf } from '../ip.ts'
import type { Socket } from '../socket.ts'
import { RTM_GETROUTE, rtmsg } from './route.ts'

const wayAttrs = attrs({ dst: [1, ip], oif: [4, u32] })
const lengths = { ipv4: 32, ipv6: 128 } as const

/** The index of the link towards an address, undefined when the host has no way there. */
export const linkTowards = (socket: Socket, address: string): number | undefined => {
  const family = familyOf(address)
  const reply = tolerate(['ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL'], () => socket.get({
    operation: `route get ${address}`, type: RTM_GETROUTE, flags: 0,
    body(out) {
      rtmsg.encode(out, { family: familyNumber(family), dstLength: lengths[family] })
      wayAttrs.encode(out, { dst: address })
    },
  }))
  return reply && wayAttrs.decode(reply.body.subarray(rtmsg.size)).oif
}
