// Room for what is written to a socket at once.
import { tolerate } from '#sys/errno.ts'
import { setsockopt } from '#sys/libc.ts'

// include/uapi/asm-generic/socket.h
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_SNDBUFFORCE = 32
/** What a message may measure without asking: less than net.core.wmem_default of every kernel. */
const DEFAULT_SEND_BUFFER = 1 << 16

/** Makes room for one message, however long; in a user namespace only as far as net.core.wmem_max goes. */
export const makeRoom = (fd: number, bytes: number): void => {
  if (bytes <= DEFAULT_SEND_BUFFER) return
  const forced = tolerate(['EPERM'], () => { setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, 2 * bytes); return true })
  if (!forced) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, 2 * bytes)
}
