// What comes from 127.0.0.1 or ::1 and has been translated to leave the host: the kernel lets it out, and takes the
// answers in, by links that are told to. IPv4: route_localnet of the kernel's ip-sysctl.rst; whoever sets it has to
// keep out what says 127.0.0.1 on the wire (CVE-2020-8558). IPv6: netlink/route/loopback.ts.
import type { Family } from '#netlink/ip.ts'
import { refuseLoopback, takeInLoopback, takesInLoopback } from '#netlink/route/loopback.ts'
import { linkTowards } from '#netlink/route/way.ts'
import { isAttachmentLabel, isNetworkLabel } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { readSysctl, trySysctl } from './sysctl.ts'

const setting = (link: string): string => `ipv4/conf/${link}/route_localnet`

/** Whether a link does it, by the setting's value; of a link that is gone it is off. */
export const readIpv4 = (host: Namespace, link: string): string => host.run(() => readSysctl(setting(link))) ?? '0'

/** Whether a link is one that we have made, so that nobody else has a say in its settings. */
const isOurs = (host: Namespace, link: string): boolean => {
  const alias = host.link.find(link)?.alias
  return isNetworkLabel(alias) || isAttachmentLabel(alias)
}

/**
 * What the setting of a link goes back to when nobody needs it any longer, asked before it is opened. One of our own
 * that is open had its ruleset flushed, and forgot how it was: it goes back to what new links have.
 */
export const restingIpv4 = (host: Namespace, link: string): string => {
  const now = readIpv4(host, link)
  return now !== '0' && isOurs(host, link) ? readIpv4(host, 'default') : now
}

/**
 * Closes the links towards addresses where nothing guards them any longer: those that are ours.
 * @param addresses of a container, with or without prefix length
 */
export const closeUnguarded = (host: Namespace, addresses: readonly string[] = []): void => {
  for (const address of addresses) {
    const dev = linkTowards(host.rtnetlink, address.split('/')[0]!)
    const link = dev === undefined ? undefined : host.link.at(dev).name
    if (link !== undefined && isOurs(host, link)) close(host, link, restingIpv4(host, link))
  }
}

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
