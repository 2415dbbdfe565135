// ip neigh and bridge fdb: who has which hardware address, and where frames for it go. Names and numbers follow the
// kernel's rt-neigh netlink spec (Documentation/netlink/specs/rt-neigh.yaml) and include/uapi/linux/neighbour.h.
import { attrs, struct } from '../attrs.ts'
import { ip, mac, u16, u32, u8 } from '../codec.ts'
import { familyNumber, familyOf, type Family } from '../ip.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'

const RTM_NEWNEIGH = 28
const RTM_DELNEIGH = 29
const RTM_GETNEIGH = 30

export const ndmsg = struct({ family: u8, pad1: u8, pad2: u16, index: u32, state: u16, flags: u8, type: u8 })
const neighAttrs = attrs({ dst: [1, ip], mac: [2, mac], index: [8, u32], protocol: [12, u8] })

const NUD_PERMANENT = 0x80
const NUD_NOARP = 0x40
/** The device keeps the entry itself, not the bridge that it may be a port of. */
const NTF_SELF = 0x02
/** Kept by a control plane: the device neither learns over it nor lets it grow old. */
const NTF_EXT_LEARNED = 0x10

const AF_BRIDGE = 7 // include/linux/socket.h

/** A neighbour: the hardware address behind an IP address on a link. Always a permanent one. */
export interface Neighbour {
  readonly dev: number
  readonly address: string
  /** Empty in lists where the kernel has not found it out. */
  readonly mac: string
  /** Who made it, as the protocol of a route: 0 where nobody has said. */
  readonly protocol: number
}

/** A forwarding entry of a VXLAN device: the tunnel end to which frames for a hardware address are sent. */
export interface Forwarding { readonly dev: number; readonly mac: string; readonly dst: string }

/** The same in a list: `ours` are those of a control plane, which `Neighbours` makes. */
export interface ForwardingInfo extends Forwarding { readonly ours: boolean }

const neighbourRequest = (verb: string, type: number, flag: number, entry: Neighbour): Request => ({
  operation: `neigh ${verb} ${entry.address} lladdr ${entry.mac} dev ${entry.dev}`, type, flags: flag,
  body(out) {
    const family = familyNumber(familyOf(entry.address))
    ndmsg.encode(out, { family, index: entry.dev, state: NUD_PERMANENT })
    neighAttrs.encode(out, { dst: entry.address, mac: entry.mac, protocol: entry.protocol })
  },
})

const forwardingRequest = (verb: string, type: number, flag: number, { dev, mac, dst }: Forwarding): Request => ({
  operation: `fdb ${verb} ${mac} dev ${dev} dst ${dst}`, type, flags: flag,
  body(out) {
    // Never asked for over ARP: the state that the kernel wants of such entries beside that they are permanent.
    ndmsg.encode(out, {
      family: AF_BRIDGE, index: dev, state: NUD_PERMANENT | NUD_NOARP, flags: NTF_SELF | NTF_EXT_LEARNED,
    })
    neighAttrs.encode(out, { mac, dst })
  },
})

/** The `ip neigh` and `bridge fdb` of one network namespace. Changes are requests, for sending thousands at once. */
export class Neighbours {
  readonly #socket: Socket
  constructor(socket: Socket) { this.#socket = socket }

  /** ip neigh replace ... nud permanent protocol N. */
  replacing(entry: Neighbour): Request {
    return neighbourRequest('replace', RTM_NEWNEIGH, flags.create | flags.replace, entry)
  }

  /** ip neigh del. Refused with ENOENT when there is none. */
  deleting(entry: Neighbour): Request { return neighbourRequest('del', RTM_DELNEIGH, 0, entry) }

  /** bridge fdb replace MAC dev DEV dst DST self permanent extern_learn. */
  replacingForwarding(entry: Forwarding): Request {
    return forwardingRequest('replace', RTM_NEWNEIGH, flags.create | flags.replace, entry)
  }

  /** bridge fdb del MAC dev DEV dst DST self. Refused with ENOENT when there is none. */
  deletingForwarding(entry: Forwarding): Request { return forwardingRequest('del', RTM_DELNEIGH, 0, entry) }

  /** ip neigh show dev DEV nud permanent, of one family. */
  list(dev: number, family: Family): Neighbour[] {
    return this.#socket.dump({
      operation: `neigh show dev ${dev}`, type: RTM_GETNEIGH, flags: flags.dump,
      body(out) {
        ndmsg.encode(out, { family: familyNumber(family) })
        neighAttrs.encode(out, { index: dev })
      },
    }, ({ body }) => {
      const { state } = ndmsg.decode(body)
      if ((state & NUD_PERMANENT) === 0) return []
      const { dst: address = '', mac: hardware = '', protocol = 0 } = neighAttrs.decode(body.subarray(ndmsg.size))
      return [{ dev, address, mac: hardware, protocol }]
    }).flat()
  }

  /** bridge fdb show dev DEV: the entries of a VXLAN device that lead to a tunnel end. */
  listForwarding(dev: number): ForwardingInfo[] {
    return this.#socket.dump({
      operation: `fdb show dev ${dev}`, type: RTM_GETNEIGH, flags: flags.dump,
      body: out => ndmsg.encode(out, { family: AF_BRIDGE, index: dev }),
    }, ({ body }) => {
      const head = ndmsg.decode(body)
      const { mac: hardware = '', dst } = neighAttrs.decode(body.subarray(ndmsg.size))
      if (dst === undefined || head.index !== dev) return []
      return [{ dev, mac: hardware, dst, ours: (head.flags & NTF_EXT_LEARNED) !== 0 }]
    }).flat()
  }
}
