// ethtool -K DEV tx on|off: who computes checksums of what a link sends. Network cards that say they can, and cannot
// for what is inside of a tunnel, have cost overlays their UDP again and again (flannel#1279, calico#11435).
// Requests of include/uapi/linux/ethtool.h.
import { addressOf, close, ioctl, socket } from '#sys/libc.ts'
import type { Namespace } from './namespace.ts'

const SIOCETHTOOL = 0x8946 // include/uapi/linux/sockios.h
const ETHTOOL_GTXCSUM = 0x16
const ETHTOOL_STXCSUM = 0x17
const AF_INET = 2
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
/** struct ifreq: a name of 16 bytes, then what it is about, here a pointer. */
const IFREQ = { size: 40, data: 16 }

/** @returns the value that the kernel has put in the place of `value` */
const ask = (namespace: Namespace, name: string, command: number, value: number): number => {
  const content = new Uint8Array(new Uint32Array([command, value]).buffer)
  const request = new Uint8Array(IFREQ.size)
  new TextEncoder().encodeInto(name, request)
  new DataView(request.buffer).setBigUint64(IFREQ.data, addressOf(content), true)
  const fd = namespace.run(() => socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0))
  try {
    ioctl(fd, SIOCETHTOOL, request)
  } finally {
    close(fd)
  }
  return new DataView(content.buffer).getUint32(4, true)
}

/** Whether a link leaves checksums to whoever is behind it. @throws SyscallError ENODEV when there is no such link */
export const offloadsChecksums = (namespace: Namespace, name: string): boolean =>
  ask(namespace, name, ETHTOOL_GTXCSUM, 0) !== 0

/** Has a link leave checksums to whoever is behind it, or not. @throws SyscallError ENODEV, EOPNOTSUPP */
export const setChecksumOffload = (namespace: Namespace, name: string, on: boolean): void => {
  if (offloadsChecksums(namespace, name) !== on) ask(namespace, name, ETHTOOL_STXCSUM, on ? 1 : 0)
}
