// Tracked connections: `conntrack -L` and `conntrack -D`. Numbers: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
import { tolerate } from '#sys/errno.ts'
import { attrs, nest, struct } from './attrs.ts'
import { be16, be32, ip, u32, u8 } from './codec.ts'
import { familyNumber, type Family } from './ip.ts'
import { flags, type Request } from './message.ts'
import type { Socket } from './socket.ts'

const NFNL_SUBSYS_CTNETLINK = 1
const IPCTNL_MSG_CT_GET = 1
const IPCTNL_MSG_CT_DELETE = 2

const nfgenmsg = struct({ family: u8, version: u8, resource: be16 })

const tuple = nest(attrs({
  ip: [1, nest(attrs({ source4: [1, ip], destination4: [2, ip], source6: [3, ip], destination6: [4, ip] }))],
  protocol: [2, nest(attrs({ number: [1, u8], sourcePort: [2, be16], destinationPort: [3, be16], icmpId: [4, be16],
    icmpType: [5, u8], icmpCode: [6, u8], icmpv6Id: [7, be16], icmpv6Type: [8, u8], icmpv6Code: [9, u8] }))],
  zone: [3, be16],
}))
const filterFlags = nest(attrs({ original: [1, u32], reply: [2, u32] }))
const entryAttrs = attrs({
  original: [1, tuple], reply: [2, tuple], id: [12, be32], zone: [18, be16], filter: [25, filterFlags],
})

/**
 * Which connections are meant; what is left out does not matter. Original is the direction of a connection's first
 * packet.
 */
export interface Filter {
  readonly family: Family
  /** IPPROTO_*: 6 TCP, 17 UDP, 132 SCTP. */
  readonly protocol?: number | undefined
  /** Where the first packet came from. */
  readonly source?: string | undefined
  /** Where the first packet was sent to, before any translation. */
  readonly destination?: string | undefined
  /** The port that it was sent to, before any translation; needs `protocol`. */
  readonly destinationPort?: number | undefined
  /** Who answers: behind a published port, the container. */
  readonly replySource?: string | undefined
}

/** A connection, its original direction and who answers. */
export interface Connection {
  readonly protocol: number
  readonly source: string
  readonly destination: string
  readonly destinationPort: number | undefined
  readonly replySource: string
}

// CTA_FILTER_F_* of net/netfilter/nf_internals.h: what of the tuples the kernel is to compare (since Linux 5.8).
const COMPARE_SOURCE = 1
const COMPARE_DESTINATION = 2
const COMPARE_PROTOCOL = 8
const COMPARE_DESTINATION_PORT = 32

const request = (
  operation: string, type: number, flag: number, family: Family, content: Parameters<typeof entryAttrs.encode>[1],
): Request => ({
  operation, type: NFNL_SUBSYS_CTNETLINK << 8 | type, flags: flag,
  body(out) {
    nfgenmsg.encode(out, { family: familyNumber(family) })
    entryAttrs.encode(out, content)
  },
})

/**
 * The question to the kernel. Older kernels overlook the filter and list everything, so answers are compared again.
 * IPv6 addresses are left out of it: the kernel's comparison lists the connections of all other addresses (seen on
 * 6.18).
 */
const listing = ({ family, protocol, destinationPort, ...others }: Filter): Request => {
  const { source, destination, replySource } = family === 'ipv4' ? others : {}
  const original = (source === undefined ? 0 : COMPARE_SOURCE) | (destination === undefined ? 0 : COMPARE_DESTINATION) |
    (protocol === undefined ? 0 : COMPARE_PROTOCOL) | (destinationPort === undefined ? 0 : COMPARE_DESTINATION_PORT)
  const reply = replySource === undefined ? 0 : COMPARE_SOURCE
  return request(`conntrack -L -f ${family}`, IPCTNL_MSG_CT_GET, flags.dump, family, {
    original: original
      ? { ip: { source4: source, destination4: destination }, protocol: { number: protocol, destinationPort } }
      : undefined,
    reply: reply ? { ip: { source4: replySource } } : undefined,
    filter: original | reply ? { original, reply } : undefined,
  })
}

const connectionOf = ({ original, reply }: ReturnType<typeof entryAttrs.decode>): Connection => ({
  protocol: original?.protocol?.number ?? 0,
  source: original?.ip?.source4 ?? original?.ip?.source6 ?? '',
  destination: original?.ip?.destination4 ?? original?.ip?.destination6 ?? '',
  destinationPort: original?.protocol?.destinationPort,
  replySource: reply?.ip?.source4 ?? reply?.ip?.source6 ?? '',
})

const isMeant = ({ family: _, ...wanted }: Filter, connection: Connection): boolean =>
  (Object.keys(wanted) as (keyof Connection)[])
    .every(name => wanted[name] === undefined || wanted[name] === connection[name])

const find = (socket: Socket, filter: Filter) =>
  socket.request(listing(filter)).map(({ body }) => entryAttrs.decode(body.subarray(nfgenmsg.size)))
    .filter(entry => isMeant(filter, connectionOf(entry)))

/** `conntrack -L`: the connections that a filter means. Addresses in canonical form (RFC 5952). */
export const list = (socket: Socket, filter: Filter): Connection[] => find(socket, filter).map(connectionOf)

/**
 * `conntrack -D`: forgets the connections that a filter means, so that their next packets are decided anew.
 * @returns how many there were
 */
export const remove = (socket: Socket, filter: Filter): number => {
  const found = find(socket, filter)
  for (const { original, id, zone } of found) {
    // Connections also end by themselves.
    tolerate(['ENOENT'], () =>
      socket.request(request('conntrack -D', IPCTNL_MSG_CT_DELETE, 0, filter.family, { original, zone, id })))
  }
  return found.length
}
