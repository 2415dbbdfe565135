// Which number a network namespace has in another: links say by it where their peer is. Names and numbers follow
// include/uapi/linux/net_namespace.h.
import { attrs, struct } from '../attrs.ts'
import { i32, u32, u8 } from '../codec.ts'
import type { Socket } from '../socket.ts'

const RTM_GETNSID = 90
/** struct rtgenmsg with its padding. */
const header = struct({ family: u8, pad1: u8, pad2: u8, pad3: u8 })
const netnsAttrs = attrs({ id: [1, i32], fd: [3, u32] })

/** ip netns list-id: the number of the namespace behind a descriptor, undefined when it has been given none. */
export const netnsId = (socket: Socket, fd: number): number | undefined => {
  const { body } = socket.get({
    operation: 'netns list-id', type: RTM_GETNSID, flags: 0,
    body(out) {
      header.encode(out, {})
      netnsAttrs.encode(out, { fd })
    },
  })
  const { id = -1 } = netnsAttrs.decode(body.subarray(header.size))
  return id < 0 ? undefined : id
}
