// What comes from 127.0.0.1 or ::1 and has been translated to leave the host: the kernel lets it out, and takes the
// answers in, by links that are told to. IPv4: route_localnet of the kernel's ip-sysctl.rst; whoever sets it has to
// keep out what says 127.0.0.1 on the wire (CVE-2020-8558). IPv6: netlink/route/loopback.ts.
import type { Family } from '#netlink/ip.ts'
import { refuseLoopback, takeInLoopback, takesInLoopback } from '#netlink/route/loopback.ts'
import type { Namespace } from './namespace.ts'
import { readSysctl, trySysctl } from './sysctl.ts'

const setting = (link: string): string => `ipv4/conf/${link}/route_localnet`

/** Whether a link does it, by the setting's value; of a link that is gone it is off. */
export const readIpv4 = (host: Namespace, link: string): string => host.run(() => readSysctl(setting(link))) ?? '0'

/** Opens a link for the addresses of a family; fine when it is. */
export const open = (host: Namespace, link: string, family: Family): void => {
  if (family === 'ipv4') host.run(() => trySysctl(setting(link), '1'))
  else takeInLoopback(host.rtnetlink, host.link.get(link).index)
}

/** Whether a link is open for a family. */
export const isOpen = (host: Namespace, link: string, family: Family): boolean =>
  family === 'ipv4' ? readIpv4(host, link) === '1' : takesInLoopback(host.rtnetlink, host.link.get(link).index)

/**
 * Closes a link for both families; fine when it is gone.
 * @param before what the IPv4 setting goes back to
 * @returns how to take that back
 */
export const close = (host: Namespace, link: string, before: string): (() => void) => {
  const now = readIpv4(host, link)
  const dev = host.link.find(link)?.index
  const wasOpen = dev !== undefined && takesInLoopback(host.rtnetlink, dev)
  host.run(() => trySysctl(setting(link), before))
  if (wasOpen) refuseLoopback(host.rtnetlink, dev)
  return () => {
    host.run(() => trySysctl(setting(link), now))
    if (wasOpen) takeInLoopback(host.rtnetlink, dev)
  }
}
