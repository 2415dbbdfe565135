// ip link. Names and numbers follow the kernel's rt-link netlink spec (Documentation/netlink/specs/rt-link.yaml).
import { errnoOf, tolerate } from '#sys/errno.ts'
import { attrs, byKind, list, nest } from '../attrs.ts'
import { text, u32, u8, type Codec, type Decoded } from '../codec.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'
import { creation, ifinfomsg, kinds } from './kinds.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_SETLINK = 19
const RTM_NEWLINKPROP = 108
const RTM_DELLINKPROP = 109

const bridgePort = nest(attrs({ hairpin: [4, u8], isolated: [33, u8] }))
/** What a bridge keeps about one of its ports: 1 is on, 0 off. */
export type Port = Decoded<typeof bridgePort>

const own = byKind(1, 2, kinds)
const slave = attrs({ kind: [4, text], port: [5, bridgePort] })
type LinkInfo = Decoded<typeof own> & { readonly asPort?: Port | undefined }
// IFLA_LINKINFO says two things: of what kind a link is, and what its master keeps about it.
const linkInfo: Codec<LinkInfo> & { readonly nested: true } = {
  nested: true,
  encode: own.encode,
  decode(data) {
    const { kind, port } = slave.decode(data)
    return { ...own.decode(data), asPort: kind === 'bridge' ? port : undefined }
  },
}

const linkAttrs = attrs({
  ...creation,
  parent: [5, u32], master: [10, u32], promiscuity: [30, u32], operstate: [16, u8], alias: [20, text],
  carrier: [33, u8], netnsId: [37, u32], group: [27, u32], numTxQueues: [31, u32], txQueueLength: [13, u32],
  info: [18, linkInfo],
  altNames: [52, list(53, text)], altName: [53, text],
})

const flagBits = { up: 1, promisc: 0x100, allmulti: 0x200 } as const

type Known = Decoded<typeof linkAttrs>
/** What a new link is to be. `up` brings it up in the same step. */
export type LinkSpec = Known & { readonly [Flag in keyof typeof flagBits]?: boolean | undefined }

/** A link as the kernel describes it. `parent` of a veth is the index of its peer; `port` is set on bridge ports. */
export interface Link extends Omit<Known, 'info' | 'name' | 'mtu' | 'altName'> {
  readonly index: number
  readonly name: string
  readonly mtu: number
  readonly up: boolean
  readonly promisc: boolean
  readonly allmulti: boolean
  readonly loopback: boolean
  /** `kind` is empty for hardware and loopback. */
  readonly info: {
    readonly kind: string
    readonly vlanFiltering?: number | undefined
    readonly mode?: string | undefined
    readonly flag?: string | undefined
    readonly vid?: number | undefined
    readonly protocol?: string | undefined
    readonly sources?: readonly string[] | undefined
    readonly owner?: number | undefined
    readonly group?: number | undefined
    readonly type?: string | undefined
    readonly multiQueue?: number | undefined
    /** Of a VRF: the routing table of its ports. */
    readonly table?: number | undefined
    /** Of a VXLAN: VNI, address and port of the tunnel's own end; `port` is the number of a UDP port. */
    readonly id?: number | undefined
    readonly local?: string | undefined
    readonly local6?: string | undefined
    readonly port?: number | undefined
    readonly learning?: number | undefined
  }
  readonly port: Port | undefined
}

/** IF_OPER_UP of include/uapi/linux/if.h. */
export const OPERSTATE_UP = 6

const IFF_LOOPBACK = 8

/** No link can have it as its own address. */
const MULTICAST = '01:00:00:00:00:00'

const decodeLink = (body: Uint8Array): Link => {
  const head = ifinfomsg.decode(body)
  const { name = '', mtu = 0, info, ...rest } = linkAttrs.decode(body.subarray(ifinfomsg.size))
  return {
    ...rest, name, mtu,
    index: head.index,
    up: (head.flags & flagBits.up) !== 0,
    promisc: (head.flags & flagBits.promisc) !== 0,
    allmulti: (head.flags & flagBits.allmulti) !== 0,
    loopback: (head.flags & IFF_LOOPBACK) !== 0,
    info: info ?? { kind: '' },
    port: info?.asPort,
  }
}

/** Turns the boolean wishes into the flags and change mask of an ifinfomsg. */
const flagged = (spec: LinkSpec): { flags: number; change: number } => {
  let set = 0
  let change = 0
  for (const name of ['up', 'promisc', 'allmulti'] as const) {
    if (spec[name] === undefined) continue
    change |= flagBits[name]
    if (spec[name]) set |= flagBits[name]
  }
  return { flags: set, change }
}

const request = (operation: string, type: number, flag: number, index: number, spec: LinkSpec): Request => ({
  operation, type, flags: flag,
  body(out) {
    ifinfomsg.encode(out, { index, ...flagged(spec) })
    linkAttrs.encode(out, spec)
  },
})

const AF_BRIDGE = 7
const protinfo = attrs({ port: [12, bridgePort] })

/** The `ip link` of one network namespace. */
export class Links {
  readonly #socket: Socket
  constructor(socket: Socket) { this.#socket = socket }

  /** ip link add. @throws NetlinkError EEXIST when the name is taken, EOPNOTSUPP when the kernel lacks the kind */
  add(spec: LinkSpec): void { this.#socket.request(this.adding(spec)) }

  /** The request behind `add`, for sending several at once. */
  adding(spec: LinkSpec): Request {
    const operation = `link add ${spec.name ?? ''} type ${spec.info?.kind ?? ''}`
    return request(operation, RTM_NEWLINK, flags.create | flags.excl, 0, spec)
  }

  /** ip link set. */
  set(index: number, spec: LinkSpec): void { this.#socket.request(this.setting(index, spec)) }

  /** Whether this kernel has a kind of link. Asks for one that cannot be, so that nothing is made. */
  supports(kind: NonNullable<LinkSpec['info']>['kind']): boolean {
    const info = { kind } as NonNullable<LinkSpec['info']>
    try {
      this.add({ name: 'fairlead-probe', address: MULTICAST, info })
    } catch (error) {
      return errnoOf(error) !== 'EOPNOTSUPP'
    }
    this.remove('fairlead-probe')
    return true
  }

  /** ip link change type KIND: settings of a link's kind. */
  change(index: number, info: NonNullable<LinkSpec['info']>): void {
    this.#socket.request(request(`link change ${index} type ${info.kind}`, RTM_NEWLINK, 0, index, { info }))
  }

  /** The request behind `set`, for sending several at once. With index 0 the name in `spec` tells which link. */
  setting(index: number, spec: LinkSpec): Request { return request(`link set ${index}`, RTM_SETLINK, 0, index, spec) }

  /** bridge link set: hairpin and isolated of a bridge port. */
  setPort(index: number, port: Port): void {
    this.#socket.request({
      operation: `bridge link set ${index}`, type: RTM_SETLINK, flags: 0,
      body(out) {
        ifinfomsg.encode(out, { family: AF_BRIDGE, index })
        protinfo.encode(out, { port })
      },
    })
  }

  /** ip link del. @throws NetlinkError ENODEV when there is none */
  del(index: number): void { this.#socket.request(request(`link del ${index}`, RTM_DELLINK, 0, index, {})) }

  /** ip link del NAME, in one step. @returns whether there was one */
  remove(name: string): boolean {
    return tolerate(['ENODEV'], () => {
      this.#socket.request(request(`link del ${name}`, RTM_DELLINK, 0, 0, { name }))
      return true
    }) ?? false
  }

  /** ip link show NAME. @throws NetlinkError ENODEV when there is none */
  get(name: string): Link {
    return decodeLink(this.#socket.get(request(`link show ${name}`, RTM_GETLINK, 0, 0, { name })).body)
  }

  /** ip link show NAME, undefined when there is none. */
  find(name: string): Link | undefined { return tolerate(['ENODEV'], () => this.get(name)) }

  /** ip link show ALTNAME, undefined when no link has it. */
  findAltName(altName: string): Link | undefined {
    return tolerate(['ENODEV'], () =>
      decodeLink(this.#socket.get(request(`link show ${altName}`, RTM_GETLINK, 0, 0, { altName })).body))
  }

  /** ip link property add dev NAME altname ALTNAME, as a request. @throws NetlinkError EEXIST when it is taken */
  addingAltName(name: string, altName: string): Request {
    const flag = flags.create | flags.excl | flags.append
    return request(`link property add altname ${altName}`, RTM_NEWLINKPROP, flag, 0, { name, altNames: [altName] })
  }

  /** ip link property del dev ALTNAME altname ALTNAME. @returns whether there was one */
  removeAltName(altName: string): boolean {
    return tolerate(['ENODEV', 'ENOENT'], () => {
      const spec = { altName, altNames: [altName] }
      this.#socket.request(request(`link property del altname ${altName}`, RTM_DELLINKPROP, 0, 0, spec))
      return true
    }) ?? false
  }

  /** ip link show, by index. @throws NetlinkError ENODEV */
  at(index: number): Link {
    return decodeLink(this.#socket.get(request(`link show ${index}`, RTM_GETLINK, 0, index, {})).body)
  }

  /** ip link show: all of them, or those with this master, or of this kind. */
  list({ master, kind }: {
    readonly master?: number
    readonly kind?: NonNullable<LinkSpec['info']>['kind']
  } = {}): Link[] {
    const info = kind && { kind } as NonNullable<LinkSpec['info']>
    return this.#socket.request(request('link show', RTM_GETLINK, flags.dump, 0, { master, info }))
      .map(message => decodeLink(message.body))
  }
}
