// Copies of routes and addresses with all that the kernel tells of them, to be put back, or routes into another table:
// what `ip route save` and `ip address save` are for. Names and numbers follow the kernel's rt-route and rt-addr
// netlink specs.
import { attrs, eachAttr, struct } from '../attrs.ts'
import type { ByteBuffer } from '../buffer.ts'
import { bytes, i32, ip, u32 } from '../codec.ts'
import { familyNumber, type Family } from '../ip.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'
import { IFA_F_NODAD, IFA_F_TENTATIVE, ifaddrmsg, RTM_GETADDR, RTM_NEWADDR } from './addr.ts'
import { multipath, RTM_GETROUTE, RTM_NEWROUTE, rtmsg, shortTable, type Nexthop } from './route.ts'

/** Appends the attributes of `data` as they are, but for those of these numbers. */
const putOthers = (out: ByteBuffer, data: Uint8Array, omitted: readonly number[]): void =>
  eachAttr(data, (id, { buffer, byteOffset, length }) => {
    if (omitted.includes(id)) return
    out.append(new Uint8Array(buffer, byteOffset - 4, length + 4))
    out.align()
  })

const cacheInfo = struct({ references: u32, lastUse: u32, expires: i32 })
const told = attrs({
  dst: [1, ip], oif: [4, u32], gateway: [5, bytes], multipath: [9, multipath], cacheInfo: [12, cacheInfo],
  table: [15, u32], via: [18, bytes],
})
const changed = attrs({ multipath: [9, multipath], table: [15, u32], expires: [23, u32] })
// RTA_CACHEINFO is told only; what RTA_NH_ID stands for is told, too, and both at once would be refused.
const CHANGED_OR_TOLD = [9, 12, 15, 23, 30]

/** USER_HZ, the unit of RTA_CACHEINFO. */
const TICKS_PER_SECOND = 100

// RTNH_F_PERVASIVE and RTNH_F_ONLINK of include/uapi/linux/rtnetlink.h: the others are the kernel's to set.
const SETTABLE = 2 | 4

/** A route, whatever its type, with one entry in `devs` for each of its ways. */
export interface RouteCopy {
  readonly family: Family
  /** In CIDR form. */
  readonly dst: string
  readonly table: number
  /** Who made it: RTPROT_* of include/uapi/linux/rtnetlink.h. */
  readonly protocol: number
  readonly devs: readonly number[]
  /** Whether a gateway is on it, so that another route has to be there first. */
  readonly hasGateway: boolean
  readonly body: Uint8Array
}

const hasVia = (content: Uint8Array): boolean => {
  const { gateway, via } = told.decode(content)
  return (gateway ?? via) !== undefined
}

const copyOf = (family: Family, body: Uint8Array): RouteCopy => {
  const { dstLength, table: short, protocol } = rtmsg.decode(body)
  const content = body.subarray(rtmsg.size)
  const { dst, oif, multipath: several = [], table = short } = told.decode(content)
  return {
    family, dst: `${dst ?? (family === 'ipv6' ? '::' : '0.0.0.0')}/${dstLength}`, table, protocol, body,
    devs: oif === undefined ? several.map(({ dev }) => dev) : [oif],
    hasGateway: hasVia(content) || several.some(hop => hasVia(hop.content)),
  }
}

/** ip route save table all: of both families, in the kernel's order. */
export const copyRoutes = (socket: Socket): RouteCopy[] =>
  (['ipv4', 'ipv6'] as const).flatMap(family => socket.request({
    operation: 'route show', type: RTM_GETROUTE, flags: flags.dump,
    body: out => rtmsg.encode(out, { family: familyNumber(family) }),
  }).map(({ body }) => copyOf(family, body)))

/** How a route comes back: into which table, over which of its links, and in place of the one that is there. */
interface Wishes {
  readonly table?: number
  readonly over?: (dev: number) => boolean
  readonly replace?: boolean
}

/**
 * ip route append, or ip route replace, with all that was told of a route.
 * @throws NetlinkError EEXIST when that very route is there, unless it is to be replaced
 */
export const restoringRoute = (
  route: RouteCopy, { table = route.table, over = () => true, replace }: Wishes,
): Request => ({
  operation: `route ${replace ? 'replace' : 'append'} ${route.dst} table ${table}`,
  type: RTM_NEWROUTE, flags: flags.create | (replace ? flags.replace : flags.append),
  body(out) {
    const head = rtmsg.decode(route.body)
    const content = route.body.subarray(rtmsg.size)
    const { multipath: several, cacheInfo: { expires = 0 } = {} } = told.decode(content)
    const kept = (hop: Nexthop): Nexthop => ({ ...hop, flags: hop.flags & SETTABLE })
    rtmsg.encode(out, { ...head, table: shortTable(table), flags: head.flags & SETTABLE })
    putOthers(out, content, CHANGED_OR_TOLD)
    changed.encode(out, {
      multipath: several?.filter(({ dev }) => over(dev)).map(kept), table,
      expires: expires > 0 ? Math.ceil(expires / TICKS_PER_SECOND) : undefined,
    })
  },
})

const toldOfAddress = attrs({ address: [1, ip], local: [2, ip], flags: [8, u32] })
const FLAGS = 8

/** An IPv6 address of a link; `address` is in CIDR form, `scope` 0 when it is global. */
export interface AddressCopy {
  readonly address: string
  readonly scope: number
  readonly tentative: boolean
  readonly body: Uint8Array
}

/** ip -6 address save dev DEV. */
export const copyAddresses6 = (socket: Socket, index: number): AddressCopy[] => socket.request({
  operation: 'addr show', type: RTM_GETADDR, flags: flags.dump,
  body: out => ifaddrmsg.encode(out, { family: familyNumber('ipv6'), index }),
}).map(({ body }) => {
  const { prefixLength, scope } = ifaddrmsg.decode(body)
  const { address = '', local = address, flags: set = 0 } = toldOfAddress.decode(body.subarray(ifaddrmsg.size))
  return { address: `${local}/${prefixLength}`, scope, tentative: (set & IFA_F_TENTATIVE) !== 0, body }
})

/** ip address add with all that was told of an address. @param noDad uses it at once @throws NetlinkError EEXIST */
export const restoringAddress = ({ address, body }: AddressCopy, noDad: boolean): Request => ({
  operation: `addr add ${address}`, type: RTM_NEWADDR, flags: flags.create | flags.excl,
  body(out) {
    const content = body.subarray(ifaddrmsg.size)
    const { flags: set = 0 } = toldOfAddress.decode(content)
    ifaddrmsg.encode(out, ifaddrmsg.decode(body))
    putOthers(out, content, [FLAGS])
    toldOfAddress.encode(out, { flags: noDad ? set | IFA_F_NODAD : set })
  },
})
