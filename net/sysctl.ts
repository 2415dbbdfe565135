// Kernel settings below /proc/sys/net of the thread's network namespace: call through Namespace.run.
import { tolerate } from '#sys/errno.ts'
import { readText, writeExisting } from '#sys/file.ts'

/**
 * The file of a setting. Parts are joined by slashes, so interface names may have dots:
 * `ipv4/conf/eth0.5/arp_notify`.
 */
const file = (name: string): string => `/proc/sys/net/${name}`

/** The value of a setting, undefined when this kernel or namespace does not have it. */
export const readSysctl = (name: string): string | undefined => readText(file(name))?.trimEnd()

/**
 * Writes a setting unless it has the value already (a write to forwarding flushes routes).
 * @throws Error with an errno name in `code`
 */
export const writeSysctl = (name: string, value: string): void => {
  if (readSysctl(name) !== value) writeExisting(file(name), value)
}

/** Writes a setting that may be missing, as all of ipv6/ is on a host started with ipv6.disable=1. */
export const trySysctl = (name: string, value: string): void => {
  tolerate(['ENOENT', 'ENOTDIR'], () => writeSysctl(name, value))
}

/** Whether this namespace has IPv6 at all. */
export const hasIpv6 = (): boolean => readSysctl('ipv6/conf/all/forwarding') !== undefined
