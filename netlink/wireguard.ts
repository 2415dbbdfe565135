// wg(8): the settings of a WireGuard link, and its peers. Names and numbers follow include/uapi/linux/wireguard.h,
// which also says how a device with many peers is told, and changed, in several messages.
import { attrs, list, nest } from './attrs.ts'
import { be16, be32, ip, text, u16, u32, u64, u8, type Codec } from './codec.ts'
import type { NetlinkError } from './error.ts'
import { findFamily, genericContent, genericRequest } from './generic.ts'
import { familyNumber, familyOf } from './ip.ts'
import { flags, type Request } from './message.ts'
import type { Socket } from './socket.ts'

const WG_CMD_GET_DEVICE = 0
const WG_CMD_SET_DEVICE = 1
const WGPEER_F_REMOVE_ME = 1
const WGPEER_F_REPLACE_ALLOWEDIPS = 2

/** A key as wg(8) writes it: base64 of 32 bytes. */
const key: Codec<string> = {
  encode: (out, value) => out.append(Buffer.from(value, 'base64')),
  decode: data => Buffer.from(data).toString('base64'),
}

/** Where a peer is: its address and UDP port. */
export interface Endpoint { readonly address: string; readonly port: number }

/** struct sockaddr_in and sockaddr_in6 of include/uapi/linux/in.h and in6.h. */
const endpoint: Codec<Endpoint> = {
  encode(out, { address, port }) {
    const family = familyOf(address)
    u16.encode(out, familyNumber(family))
    be16.encode(out, port)
    if (family === 'ipv6') be32.encode(out, 0) // flow label
    ip.encode(out, address)
    out.reserve(family === 'ipv6' ? 4 : 8) // scope, or nothing
  },
  decode(data) {
    const isIpv6 = u16.decode(data) === familyNumber('ipv6')
    const port = be16.decode(data.subarray(u16.size))
    return { address: ip.decode(isIpv6 ? data.subarray(8, 24) : data.subarray(4, 8)), port }
  },
}

/** struct __kernel_timespec, of which the seconds matter. */
const seconds: Codec<number> = {
  encode(out, value) {
    u64.encode(out, BigInt(value))
    out.reserve(8)
  },
  decode: data => Number(u64.decode(data)),
}

const allowedIp = attrs({ family: [1, u16], address: [2, ip], length: [3, u8] })
const peerAttrs = attrs({
  publicKey: [1, key], presharedKey: [2, key], flags: [3, u32], endpoint: [4, endpoint], keepalive: [5, u16],
  lastHandshake: [6, seconds], rxBytes: [7, u64], txBytes: [8, u64], allowedIps: [9, list(0, nest(allowedIp))],
})
const deviceAttrs = attrs({
  index: [1, u32], name: [2, text], privateKey: [3, key], publicKey: [4, key], flags: [5, u32], listenPort: [6, u16],
  fwmark: [7, u32], peers: [8, list(0, nest(peerAttrs))],
})

/** A peer in a change. */
export interface WireguardPeer {
  readonly publicKey: string
  readonly endpoint?: Endpoint | undefined
  /** Prefixes in CIDR notation that are behind it: packets for them go to it, and only it may send from them. */
  readonly allowedIps: readonly string[]
}

/** A peer as it is. `lastHandshake` in seconds since the epoch, 0 when there was none. */
export interface WireguardPeerInfo extends WireguardPeer { readonly lastHandshake: number }

/** `privateKey` is undefined as long as the device has none. */
export interface WireguardInfo {
  readonly privateKey: string | undefined
  readonly listenPort: number
  readonly peers: readonly WireguardPeerInfo[]
}

/** What can be set beside peers. */
export interface WireguardSettings { readonly privateKey?: string; readonly listenPort?: number }

const prefixOf = ({ address = '', length = 0 }: { address?: string | undefined; length?: number | undefined }) =>
  `${address}/${length}`

const allowedIpOf = (prefix: string) => {
  const [address = '', length = ''] = prefix.split('/')
  return { family: familyNumber(familyOf(address)), address, length: Number(length) }
}

/** A nested attribute holds 64 KiB, a message should fit every send buffer: net.core.wmem_default. */
const BYTES_AT_ONCE = 32_000
const PEER_BYTES = 120
const PREFIX_BYTES = 40
const PREFIXES_AT_ONCE = 500

type PeerPart = Parameters<typeof peerAttrs.encode>[1]

/** The parts of a peer, small enough for a message: the first one says that it is to have nothing else. */
const partsOf = ({ publicKey, endpoint: end, allowedIps }: WireguardPeer): PeerPart[] => {
  const part = (at: number) => allowedIps.slice(at, at + PREFIXES_AT_ONCE).map(allowedIpOf)
  const first = { publicKey, endpoint: end, flags: WGPEER_F_REPLACE_ALLOWEDIPS }
  const parts: PeerPart[] = [allowedIps.length === 0 ? first : { ...first, allowedIps: part(0) }]
  for (let at = PREFIXES_AT_ONCE; at < allowedIps.length; at += PREFIXES_AT_ONCE)
    parts.push({ publicKey, allowedIps: part(at) })
  return parts
}

/** Peers message by message. */
const batches = (parts: readonly PeerPart[]): PeerPart[][] => {
  const found: PeerPart[][] = []
  let room = 0
  for (const part of parts) {
    const size = PEER_BYTES + PREFIX_BYTES * (part.allowedIps?.length ?? 0)
    if (size > room) {
      found.push([])
      room = BYTES_AT_ONCE
    }
    found.at(-1)!.push(part)
    room -= size
  }
  return found
}

/** The `wg` of one network namespace. */
export class Wireguard {
  readonly #socket: Socket
  readonly #family: number

  private constructor(socket: Socket, family: number) {
    this.#socket = socket
    this.#family = family
  }

  /** Undefined when the kernel has no WireGuard; if it is a module, this loads it. @param socket of `generic` */
  static in(socket: Socket): Wireguard | undefined {
    const family = findFamily(socket, 'wireguard')
    return family === undefined ? undefined : new Wireguard(socket, family)
  }

  /** wg show DEV dump. @param index of the link @throws NetlinkError ENODEV, EOPNOTSUPP for a link of another kind */
  show(index: number): WireguardInfo {
    const request = genericRequest(
      `wg show ${index}`, this.#family, WG_CMD_GET_DEVICE, flags.dump, deviceAttrs, { index })
    const parts = this.#socket.dump(request, message => deviceAttrs.decode(genericContent(message)))
    const peers: (WireguardPeerInfo & { readonly allowedIps: string[] })[] = []
    for (const { publicKey = '', endpoint: end, lastHandshake = 0, allowedIps = [] } of
      parts.flatMap(part => part.peers ?? [])) {
      const prefixes = allowedIps.map(prefixOf)
      const last = peers.at(-1)
      // What had no room in one message goes on in the next.
      if (last?.publicKey === publicKey) last.allowedIps.push(...prefixes)
      else peers.push({ publicKey, endpoint: end, lastHandshake, allowedIps: prefixes })
    }
    return { privateKey: parts[0]?.privateKey, listenPort: parts[0]?.listenPort ?? 0, peers }
  }

  /** wg set DEV private-key … listen-port … @throws NetlinkError EADDRINUSE when the link is up and the port taken */
  set(index: number, settings: WireguardSettings): void {
    this.#socket.request(this.#change(`wg set ${index}`, { index, ...settings }))
  }

  /**
   * wg set DEV peer … endpoint … allowed-ips …, of any number of peers: they have these prefixes afterwards and no
   * others, and keep their endpoint where none is stated. A prefix that another peer has is taken from it.
   * @returns what was refused; the rest is done
   */
  setPeers(index: number, peers: readonly WireguardPeer[]): NetlinkError[] {
    return this.#attempt(`wg set ${index} peer`, index, peers.flatMap(partsOf))
  }

  /** wg set DEV peer … remove, of any number; fine when there are none. @returns what was refused */
  removePeers(index: number, publicKeys: readonly string[]): NetlinkError[] {
    return this.#attempt(`wg set ${index} peer remove`, index,
      publicKeys.map(publicKey => ({ publicKey, flags: WGPEER_F_REMOVE_ME })))
  }

  #change(operation: string, value: Parameters<typeof deviceAttrs.encode>[1]): Request {
    return genericRequest(operation, this.#family, WG_CMD_SET_DEVICE, 0, deviceAttrs, value)
  }

  #attempt(operation: string, index: number, parts: readonly PeerPart[]): NetlinkError[] {
    // One write for each: two would not fit the send buffer.
    return batches(parts).flatMap(peers => this.#socket.attemptAll([this.#change(operation, { index, peers })]))
      .map(({ error }) => error)
  }
}
