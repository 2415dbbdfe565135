// Peers as we send them against what wg(8) of wireguard-tools 1.0.20210914 sends for
// `wg set wg0 peer … endpoint 192.0.2.7:51820 allowed-ips 10.1.0.0/24,fd00:1::/64
//   peer … endpoint [2001:db8::7]:7 allowed-ips ''`, captured with strace(1).
// Each begins with its own name for the device.
import { test } from 'tap'
import { ByteBuffer } from './buffer.ts'
import type { Request } from './message.ts'
import type { Socket } from './socket.ts'
import { Wireguard } from './wireguard.ts'

const captured =
  'e00008808c000080240001005e99c29a0e5c1fb90ecaadf09c9185242504a82d59764f2b959b11e221877b47140004000200ca6c' +
  'c000020700000000000000000800030002000000480009801c0000800600010002000000080002000a0100000500030018000000' +
  '28000080060001000a00000014000200fd00000100000000000000000000000005000300400000005000008024000100de9edb7d' +
  '7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f200004000a0000070000000020010db80000000000000000' +
  '00000007000000000800030002000000'

/** A kernel that has the family, and what it is sent. */
const listener = (): { readonly socket: Socket; readonly sent: Request[] } => {
  const sent: Request[] = []
  const socket = {
    // struct genlmsghdr, and CTRL_ATTR_FAMILY_ID 22
    get: () => ({ type: 16, flags: 0, sequence: 1, body: Uint8Array.of(1, 2, 0, 0, 6, 0, 1, 0, 22, 0, 0, 0) }),
    attemptAll: (requests: readonly Request[]) => {
      sent.push(...requests)
      return []
    },
  }
  return { socket: socket as unknown as Socket, sent }
}

const bytesOf = (request: Request): Buffer => {
  const out = new ByteBuffer()
  request.body(out)
  return Buffer.from(out.bytes)
}

void test('peers', async t => {
  const { socket, sent } = listener()
  Wireguard.in(socket)!.setPeers(7, [
    { publicKey: 'XpnCmg5cH7kOyq3wnJGFJCUEqC1Zdk8rlZsR4iGHe0c=', endpoint: { address: '192.0.2.7', port: 51820 },
      allowedIps: ['10.1.0.0/24', 'fd00:1::/64'] },
    { publicKey: '3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=', endpoint: { address: '2001:db8::7', port: 7 },
      allowedIps: [] },
  ])
  t.match(sent, [{ type: 22, operation: 'wg set 7 peer' }])
  // Command 1 of version 1, and WGDEVICE_A_IFINDEX.
  t.equal(bytesOf(sent[0]!).toString('hex'), `01010000${'0800010007000000'}${captured}`)
})

void test('how much a message holds', async t => {
  const { socket, sent } = listener()
  const key = (i: number): string => Buffer.alloc(32, i).toString('base64')
  const allowedIps = Array.from({ length: 1200 }, (_, i) => `fd00::${i.toString(16)}/128`)
  Wireguard.in(socket)!.setPeers(7, [
    ...Array.from({ length: 200 }, (_, i) => ({ publicKey: key(i), allowedIps: allowedIps.slice(0, 5) })),
    { publicKey: key(201), allowedIps },
  ])
  t.ok(sent.length > 3)
  t.ok(sent.every(request => bytesOf(request).length <= 32_100), 'less than a send buffer, and than an attribute')
  sent.length = 0
  Wireguard.in(socket)!.removePeers(7, [])
  t.same(sent, [])
})
