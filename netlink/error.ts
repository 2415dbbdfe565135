// What the kernel says when it refuses: struct nlmsgerr and NLMSGERR_ATTR_* of include/uapi/linux/netlink.h.
import { errnoName } from '#sys/errno.ts'

/** The kernel refused a request. `code` is the errno name; `reason` is the kernel's own sentence when it gave one. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly operation: string
  readonly code: string
  readonly reason: string | undefined

  /** @param operation the request as `ip` or `nft` would spell it */
  constructor(operation: string, errno: number, reason?: string) {
    super(`${operation}: ${errnoName(errno)}${reason ? ` (${reason})` : ''}`)
    this.operation = operation
    this.code = errnoName(errno)
    this.reason = reason
  }
}
