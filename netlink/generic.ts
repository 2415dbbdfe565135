// Generic netlink: families that have a name, and a number which the kernel gives them. include/uapi/linux/genetlink.h.
import { tolerate } from '#sys/errno.ts'
import { attrs, struct } from './attrs.ts'
import { text, u16, u8, type Codec } from './codec.ts'
import type { Message, Request } from './message.ts'
import type { Socket } from './socket.ts'

/** struct genlmsghdr */
const head = struct({ command: u8, version: u8, reserved: u16 })

/** A request of a family's: command, then attributes. @param flags beside those that every request has */
export const genericRequest = <T>(
  operation: string, family: number, command: number, flags: number, codec: Codec<T>, value: T,
): Request => ({
  operation, type: family, flags,
  body(out) {
    head.encode(out, { command, version: 1 })
    codec.encode(out, value)
  },
})

/** The attributes of an answer. */
export const genericContent = ({ body }: Message): Uint8Array => body.subarray(head.size)

const GENL_ID_CTRL = 16
const CTRL_CMD_GETFAMILY = 3
const familyAttrs = attrs({ id: [1, u16], name: [2, text] })

/**
 * The number of a family, undefined when the kernel has none of that name. It loads a module that has.
 * @param socket of protocol `generic`
 */
export const findFamily = (socket: Socket, name: string): number | undefined => {
  const operation = `genl ctrl get name ${name}`
  const reply = tolerate(['ENOENT'], () =>
    socket.get(genericRequest(operation, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, familyAttrs, { name })))
  return reply && familyAttrs.decode(genericContent(reply)).id
}
