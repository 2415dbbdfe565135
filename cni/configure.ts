// A result becomes addresses and routes on the container's interface.
import { hasIpv6, trySysctl, writeSysctl } from '#net/sysctl.ts'
import type { Namespace } from '#net/namespace.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import type { Route } from '#netlink/route/route.ts'
import { CniError } from './errors.ts'
import { nextHop, type Result } from './result.ts'

/**
 * Settings of the interface before it comes up. Without an IPv6 address IPv6 is off: a network that has none must not
 * be offered one by a neighbour's router advertisements.
 */
const prepare = (name: string, ipv6: boolean, detectDuplicates: boolean, routed: boolean): void => {
  trySysctl(`ipv4/conf/${name}/arp_notify`, '1') // the kernel announces the address when the link comes up
  if (!ipv6) return trySysctl(`ipv6/conf/${name}/disable_ipv6`, '1')
  if (!hasIpv6()) {
    throw new CniError(
      'unsupportedByKernel',
      'an IPv6 address is given, but this kernel has IPv6 switched off',
      'remove the IPv6 range or boot without ipv6.disable=1',
    )
  }
  writeSysctl('ipv6/conf/lo/disable_ipv6', '0')
  writeSysctl(`ipv6/conf/${name}/disable_ipv6`, '0')
  writeSysctl(`ipv6/conf/${name}/keep_addr_on_down`, '1')
  trySysctl(`ipv6/conf/${name}/ndisc_notify`, '1')
  // Who is told its default route takes none from a neighbour that pretends to be a router.
  if (routed) trySysctl(`ipv6/conf/${name}/accept_ra`, '0')
  trySysctl(`ipv6/conf/${name}/accept_dad`, detectDuplicates ? '1' : '0')
  if (detectDuplicates) trySysctl(`ipv6/conf/${name}/enhanced_dad`, '1')
}

/**
 * Gives `link` the addresses and routes of `result` and brings it up.
 * @param detectDuplicates whether IPv6 addresses wait for duplicate address detection (see net/ready.ts) or are used
 * at once
 * @param ways routes that take the place of those which the kernel makes to the addresses' subnets
 * @throws NetlinkError that names the address or route, CniError when the namespace has no IPv6
 */
export const configure = (
  pod: Namespace, link: Link, result: Result, detectDuplicates: boolean, ways?: readonly Route[],
): void => {
  const ipv6 = result.ips.some(ip => familyOf(ip.address) === 'ipv6')
  const routed = result.routes.some(({ dst }) => familyOf(dst) === 'ipv6' && dst.endsWith('/0'))
  pod.run(() => prepare(link.name, ipv6, detectDuplicates, routed))
  const { index } = link
  pod.requestAll([
    ...result.ips.map(({ address }) => pod.addr.adding({
      // The setting alone would not do where all interfaces are told to detect, nor count at once.
      index, address, noDad: !detectDuplicates && familyOf(address) === 'ipv6', noPrefixRoute: ways !== undefined,
    })),
    pod.link.setting(index, { up: true }),
    ...(ways ?? []).map(way => pod.route.adding(way)),
    ...result.routes.map(({ gw, ...route }) =>
      pod.route.adding({ ...route, dev: index, via: nextHop({ ...route, gw }, result.ips) })),
  ])
}
