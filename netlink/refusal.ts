// Reads a refusal out of an answer: struct nlmsgerr and NLMSGERR_ATTR_* of include/uapi/linux/netlink.h. VERSION knows
// the error, but has no use for this.
import { attrs } from './attrs.ts'
import { readNumber } from './buffer.ts'
import { text, u32 } from './codec.ts'
import { NetlinkError } from './error.ts'
import { answer, flags, header, type Message } from './message.ts'

const explanation = attrs({ message: [1, text], offset: [2, u32] })

/** The refusal in an error or done message, or undefined when it is a success. */
export const refusal = (operation: string, { type, flags: set, body }: Message): NetlinkError | undefined => {
  const errno = -(readNumber(body, 0, 4) | 0)
  if (errno === 0) return undefined
  const quoted = type === answer.done ? 0 : set & flags.capped ? header.size : readNumber(body, 4, 4)
  const reason = set & flags.explained ? explanation.decode(body.subarray(4 + quoted)).message : undefined
  return new NetlinkError(operation, errno, reason)
}
