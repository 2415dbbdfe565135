// ip route. Names and numbers follow the kernel's rt-route netlink spec (Documentation/netlink/specs/rt-route.yaml).
import { attrs, nest, struct } from '../attrs.ts'
import { ip, u16, u32, u8, type Codec } from '../codec.ts'
import { familyNumber, familyOf } from '../ip.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'

export const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
export const RTM_GETROUTE = 26

/** struct rtmsg of include/uapi/linux/rtnetlink.h. */
export const rtmsg = struct({
  family: u8, dstLength: u8, srcLength: u8, tos: u8, table: u8, protocol: u8, scope: u8, type: u8, flags: u32,
})
const rtnexthop = struct({ length: u16, flags: u8, weight: u8, dev: u32 })

/** One way of a route that has several. `content` is its attributes, `weight` one less than people say. */
export interface Nexthop {
  readonly dev: number
  readonly flags: number
  readonly weight: number
  readonly content: Uint8Array
}

/** RTA_MULTIPATH: the ways of a route that has several. Equal IPv6 routes over two links become one. */
export const multipath: Codec<readonly Nexthop[]> = {
  encode(out, hops) {
    for (const { content, ...head } of hops) {
      rtnexthop.encode(out, { ...head, length: rtnexthop.size + content.length })
      out.append(content)
      out.align()
    }
  },
  decode(data) {
    const hops: Nexthop[] = []
    for (let rest = data; rest.length >= rtnexthop.size;) {
      const { length, ...head } = rtnexthop.decode(rest)
      if (length < rtnexthop.size) throw new RangeError(`next hop: bad length ${length}`)
      hops.push({ ...head, content: rest.slice(rtnexthop.size, length) })
      rest = rest.subarray(length + 3 & ~3)
    }
    return hops
  },
}

const metrics = nest(attrs({ mtu: [2, u32], advmss: [8, u32] }))
const routeAttrs = attrs({
  dst: [1, ip], oif: [4, u32], gateway: [5, ip], priority: [6, u32], prefSrc: [7, ip],
  metrics: [8, metrics], multipath: [9, multipath], table: [15, u32],
})

// include/uapi/linux/rtnetlink.h
export const RT_TABLE_MAIN = 254
export const RT_TABLE_LOCAL = 255
const RT_TABLE_UNSPEC = 0
const RTPROT_BOOT = 3
const RTN_UNICAST = 1
const RTN_LOCAL = 2
const RT_SCOPE_NOWHERE = 255
const RTNH_F_ONLINK = 4

/** A table in struct rtmsg, which has one byte for it; a number above stands in RTA_TABLE only. */
export const shortTable = (table: number): number => table < 256 ? table : RT_TABLE_UNSPEC

/** Distances: include/uapi/linux/rtnetlink.h, enum rt_scope_t. */
export const scope = { global: 0, link: 253, host: 254 } as const

/** A unicast route. `dst` is in CIDR form, `0.0.0.0/0` for the default; `dev` is a link index. */
export interface Route {
  readonly dst: string
  readonly dev: number
  readonly via?: string | undefined
  readonly src?: string | undefined
  /** The metric: lower wins. */
  readonly priority?: number | undefined
  readonly table?: number | undefined
  readonly scope?: number | undefined
  readonly mtu?: number | undefined
  readonly advmss?: number | undefined
  /** Who made it, of routes that are listed: RTPROT_* of include/uapi/linux/rtnetlink.h. */
  readonly protocol?: number
  /** The gateway need not be in a subnet of the link. */
  readonly onlink?: boolean | undefined
}

const request = (operation: string, type: number, flag: number, route: Route): Request => {
  const [network = '', length = ''] = route.dst.split('/')
  const { mtu, advmss, table = RT_TABLE_MAIN } = route
  return {
    operation: `${operation} ${route.dst}${route.via ? ` via ${route.via}` : ''}`, type, flags: flag,
    body(out) {
      rtmsg.encode(out, {
        family: familyNumber(familyOf(network)), dstLength: Number(length), type: RTN_UNICAST,
        table: shortTable(table),
        // To delete, whoever made it and at whatever distance, as ip does.
        ...type === RTM_DELROUTE
          ? { scope: route.scope ?? RT_SCOPE_NOWHERE }
          : { scope: route.scope ?? scope.global, protocol: RTPROT_BOOT },
        flags: route.onlink ? RTNH_F_ONLINK : 0,
      })
      routeAttrs.encode(out, {
        dst: Number(length) > 0 ? network : undefined, oif: route.dev, gateway: route.via,
        priority: route.priority, prefSrc: route.src,
        metrics: mtu === undefined && advmss === undefined ? undefined : { mtu, advmss },
        table: table < 256 ? undefined : table,
      })
    },
  }
}

/** The `ip route` of one network namespace. */
export class Routes {
  readonly #socket: Socket
  constructor(socket: Socket) { this.#socket = socket }

  /** ip route add, without EXCL as the Go suite does: a second default route of the same metric joins the first. */
  add(route: Route): void { this.#socket.request(this.adding(route)) }

  /** The request behind `add`, for sending several at once. */
  adding(route: Route): Request { return request('route add', RTM_NEWROUTE, flags.create, route) }

  /** ip route add, which lets no other route to the same destination be there. @throws NetlinkError EEXIST */
  addingNew(route: Route): Request { return request('route add', RTM_NEWROUTE, flags.create | flags.excl, route) }

  /** ip route replace. */
  replace(route: Route): void {
    this.#socket.request(request('route replace', RTM_NEWROUTE, flags.create | flags.replace, route))
  }

  /** ip route del. @throws NetlinkError ESRCH when there is none */
  del(route: Route): void { this.#socket.request(request('route del', RTM_DELROUTE, 0, route)) }

  /** ip route show table all: the unicast routes of both families in every table, one for each next hop. */
  list(): Route[] {
    const replies = this.#socket.request({
      operation: 'route show', type: RTM_GETROUTE, flags: flags.dump, body: out => rtmsg.encode(out, {}),
    })
    return replies.flatMap(({ body }) => {
      const head = rtmsg.decode(body)
      const found = routeAttrs.decode(body.subarray(rtmsg.size))
      const { dst, oif, gateway, priority, prefSrc, metrics: measured, table, multipath: several = [] } = found
      if (head.type !== RTN_UNICAST) return []
      const any = head.family === familyNumber('ipv6') ? '::' : '0.0.0.0'
      const hops = oif === undefined
        ? several.map(({ dev, content }) => ({ dev, via: routeAttrs.decode(content).gateway }))
        : [{ dev: oif, via: gateway }]
      return hops.map(hop => ({
        ...hop, dst: `${dst ?? any}/${head.dstLength}`, src: prefSrc, priority,
        table: table ?? head.table, scope: head.scope, protocol: head.protocol,
        mtu: measured?.mtu, advmss: measured?.advmss,
      }))
    })
  }

  /**
   * ip -6 route show table local type local dev DEV: the IPv6 addresses of a link whose packets are taken in.
   * @param table where a VRF has those of its ports
   */
  local6(dev: number, table = RT_TABLE_LOCAL): string[] {
    const replies = this.#socket.request({
      operation: 'route show table local', type: RTM_GETROUTE, flags: flags.dump,
      body(out) {
        rtmsg.encode(out, { family: familyNumber('ipv6'), table: shortTable(table) })
        routeAttrs.encode(out, { oif: dev, table })
      },
    })
    return replies.filter(({ body }) => rtmsg.decode(body).type === RTN_LOCAL)
      .flatMap(({ body }) => routeAttrs.decode(body.subarray(rtmsg.size)).dst ?? [])
  }
}
