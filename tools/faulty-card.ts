// A network card that fills in the checksums that the kernel leaves to it, but not those inside of a tunnel, where it
// says that it does. Frames are carried from one link to another: what a packet socket reads from a veth is what the
// kernel hands to a card, with a note of what is left to compute.
//   node tools/faulty-card.ts FROM TO     carries frames from link FROM to link TO until it is killed
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import process from 'node:process'
import { Namespace } from '#net/namespace.ts'
import { tolerate } from '#sys/errno.ts'
import { bind, read, setsockopt, socket, write } from '#sys/libc.ts'

interface Test { teardown(step: () => unknown): unknown }

// packet(7), include/uapi/linux/if_packet.h
const AF_PACKET = 17
const SOCK_RAW = 3
const ETH_P_ALL = 3
const SOL_PACKET = 263
const [PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING] = [15, 23]
/** struct virtio_net_hdr of include/uapi/linux/virtio_net.h, in front of each frame. */
const NOTE = { size: 10, flags: 0, needsChecksum: 1, start: 6, offset: 8 } as const
const LONGEST_FRAME = 1 << 16
/** Where the payload of an Ethernet frame with IPv4 or IPv6, without options, begins. */
const OUTER = [34, 54]

const open = (index: number, protocol: number): number => {
  const address = new Uint8Array(20) // struct sockaddr_ll
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_PACKET, true)
  view.setUint16(2, protocol)
  view.setInt32(4, index, true)
  const fd = socket(AF_PACKET, SOCK_RAW, 0)
  const options = protocol === 0 ? [] : [PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING]
  for (const option of options) setsockopt(fd, SOL_PACKET, option, 1)
  bind(fd, address)
  return fd
}

/** The Internet checksum (RFC 1071) of the rest of a frame, whose pseudo header is in it already. */
const checksum = (view: DataView, start: number): number => {
  let sum = 0
  for (let at = start; at < view.byteLength; at += 2)
    sum += at + 1 < view.byteLength ? view.getUint16(at) : view.getUint8(at) << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** What the card does with a frame that has a note of the kernel's in front. @returns the frame */
const processed = (noted: Uint8Array): Uint8Array => {
  const note = new DataView(noted.buffer, 0, NOTE.size)
  const frame = noted.subarray(NOTE.size)
  const start = note.getUint16(NOTE.start, true)
  if ((note.getUint8(NOTE.flags) & NOTE.needsChecksum) !== 0 && OUTER.includes(start)) {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
    view.setUint16(start + note.getUint16(NOTE.offset, true), checksum(view, start) || 0xffff)
  }
  return frame
}

const carry = (from: string, to: string): never => {
  using here = Namespace.host()
  const input = open(here.link.get(from).index, ETH_P_ALL)
  const output = open(here.link.get(to).index, 0)
  console.log('ready')
  const noted = new Uint8Array(LONGEST_FRAME)
  for (;;) {
    const length = read(input, noted)
    tolerate(['EMSGSIZE', 'ENOBUFS', 'ENETDOWN'], () => write(output, processed(noted.subarray(0, length))))
  }
}

const start = async (where: Namespace, from: string, to: string): Promise<ChildProcess> => {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), from, to]
  const carrier = where.run(() =>
    spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...node], { stdio: ['ignore', 'pipe', 'inherit'] }))
  await once(carrier.stdout, 'data')
  return carrier
}

/**
 * Connects two links of a namespace, which are ports of no bridge, through a faulty card each, until the test ends.
 * @returns what takes the cards out
 */
export const connectFaultily = async (t: Test, where: Namespace, one: string, other: string): Promise<() => void> => {
  const carriers = await Promise.all([start(where, one, other), start(where, other, one)])
  const stop = (): void => { for (const carrier of carriers) carrier.kill('SIGKILL') }
  t.teardown(stop)
  return stop
}

const [from, to] = process.argv.slice(2)
if (process.argv[1] === fileURLToPath(import.meta.url) && from !== undefined && to !== undefined) carry(from, to)
