// ip route for a control plane: thousands of routes of the main table that carry its protocol number, and by it are
// told from everybody else's. Numbers: include/uapi/linux/rtnetlink.h.
import { attrs } from '../attrs.ts'
import { ip, u16, u32, type Codec } from '../codec.ts'
import { familyNumber, familyOf } from '../ip.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'
import { RTM_GETROUTE, RTM_NEWROUTE, RT_TABLE_MAIN, rtmsg } from './route.ts'

const RTM_DELROUTE = 25
const RTN_UNICAST = 1
const RTN_UNREACHABLE = 7
const RTNH_F_ONLINK = 4
const RT_SCOPE_LINK = 253
const RT_SCOPE_UNIVERSE = 0

/** RTA_VIA: a gateway of another family than the destination's, struct rtvia. */
const via: Codec<string> = {
  encode(out, address) {
    u16.encode(out, familyNumber(familyOf(address)))
    ip.encode(out, address)
  },
  decode: data => ip.decode(data.subarray(u16.size)),
}

const routeAttrs = attrs({
  dst: [1, ip], oif: [4, u32], gateway: [5, ip], priority: [6, u32], prefSrc: [7, ip],
  via: [18, via],
})

/**
 * A route: to a link (`dev`), there to a gateway that need not be in any of its subnets; or, without `dev`, an answer
 * that the destination cannot be reached. `dst` is canonical CIDR.
 */
export interface OwnedRoute {
  readonly dst: string
  readonly dev?: number | undefined
  /** IPv4 may go by an IPv6 gateway, not the other way round. */
  readonly via?: string | undefined
  /** The address that the host itself sends from, one of its own. */
  readonly src?: string | undefined
  /** The metric: lower wins. The kernel takes 0 of IPv6 for 1024. */
  readonly priority?: number | undefined
}

/** The routes of one protocol number (RTA_PROTOCOL) in one network namespace. Changes are requests. */
export class OwnedRoutes {
  readonly #socket: Socket
  readonly #protocol: number

  constructor(socket: Socket, protocol: number) {
    this.#socket = socket
    this.#protocol = protocol
  }

  /** ip route add. Refused with EEXIST where somebody has a route of the same destination and metric. */
  adding(route: OwnedRoute): Request { return this.#request('add', RTM_NEWROUTE, flags.create | flags.excl, route) }

  /** ip route replace: of any route with the same destination and metric, so ask only for one's own. */
  replacing(route: OwnedRoute): Request {
    return this.#request('replace', RTM_NEWROUTE, flags.create | flags.replace, route)
  }

  /** ip route del, of this protocol only. Refused with ESRCH when there is none. */
  deleting(route: OwnedRoute): Request { return this.#request('del', RTM_DELROUTE, 0, route) }

  /** ip route show proto N, of both families. */
  list(): OwnedRoute[] { return this.#list(0) }

  /** ip route show proto N type unreachable: few of many, which the kernel picks out. */
  listUnreachable(): OwnedRoute[] { return this.#list(RTN_UNREACHABLE) }

  /** @param type 0 for all */
  #list(type: number): OwnedRoute[] {
    return this.#socket.dump({
      operation: `route show proto ${this.#protocol}`, type: RTM_GETROUTE, flags: flags.dump,
      body: out => rtmsg.encode(out, { protocol: this.#protocol, type }),
    }, ({ body }) => {
      const head = rtmsg.decode(body)
      if (head.protocol !== this.#protocol || head.table !== RT_TABLE_MAIN) return []
      if (type !== 0 && head.type !== type) return []
      const found = routeAttrs.decode(body.subarray(rtmsg.size))
      const any = head.family === familyNumber('ipv6') ? '::' : '0.0.0.0'
      return [{
        dst: `${found.dst ?? any}/${head.dstLength}`, priority: found.priority, via: found.gateway ?? found.via,
        src: found.prefSrc, dev: head.type === RTN_UNREACHABLE ? undefined : found.oif,
      }]
    }).flat()
  }

  #request(verb: string, type: number, flag: number, { dst, dev, via: gateway, src, priority }: OwnedRoute): Request {
    const [network = '', length = ''] = dst.split('/')
    const family = familyOf(network)
    const protocol = this.#protocol
    const sameFamily = gateway === undefined || familyOf(gateway) === family
    return {
      operation: `route ${verb} ${dst}${gateway ? ` via ${gateway}` : ''}`, type, flags: flag,
      body(out) {
        rtmsg.encode(out, {
          family: familyNumber(family), dstLength: Number(length), table: RT_TABLE_MAIN,
          protocol, type: dev === undefined ? RTN_UNREACHABLE : RTN_UNICAST,
          scope: dev !== undefined && gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
          flags: gateway === undefined ? 0 : RTNH_F_ONLINK,
        })
        routeAttrs.encode(out, {
          dst: Number(length) > 0 ? network : undefined, oif: dev, priority, prefSrc: src,
          gateway: sameFamily ? gateway : undefined, via: sameFamily ? undefined : gateway,
        })
      },
    }
  }
}
