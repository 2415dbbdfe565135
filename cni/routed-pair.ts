// Routes between a container and its host, which is its gateway: the host's end of the pair carries the gateway's
// address, and whatever the container sends goes there. The same as the reference plugin's, so that either may follow.
import { broken, expect } from './check.ts'
import { CniError } from './errors.ts'
import { parsedAddress } from './gateways.ts'
import type { IpConfig } from './result.ts'
import { isForwarding } from '#net/forwarding.ts'
import type { Namespace } from '#net/namespace.ts'
import { canonicalPrefix, subnetOf } from '#net/prefix.ts'
import { waitUntilTakenIn } from '#net/ready.ts'
import { trySysctl } from '#net/sysctl.ts'
import { hostEnd } from '#net/veth.ts'
import { familyOf } from '#netlink/ip.ts'
import { OPERSTATE_UP, type Link } from '#netlink/route/link.ts'
import { scope, type Route } from '#netlink/route/route.ts'
import { errnoOf } from '#sys/errno.ts'

/** An address as a subnet by itself, `10.1.2.3/32`; its prefix length, if it has one, is dropped. */
export const alone = (address: string): string => {
  const [text = ''] = address.split('/')
  return canonicalPrefix(`${text}/${familyOf(text) === 'ipv4' ? 32 : 128}`)
}

const gatewayAddresses = (ips: readonly IpConfig[]): readonly string[] =>
  [...new Set(ips.flatMap(({ gateway }) => gateway ? [alone(gateway)] : []))]

const ownAddresses = (ips: readonly IpConfig[]): readonly string[] => [...new Set(ips.map(ip => alone(ip.address)))]

const IPV6_METRIC = 1024 // IP6_RT_PRIO_USER of include/uapi/linux/ipv6_route.h: that of a route which is given none

/**
 * The container's routes: the gateway is on the link, the rest of the subnet behind it. The metric grows with the
 * link's index. So two links of a container may lead to the same subnet: the older one is used, and when it goes the
 * other. Equal metrics would be refused, or in IPv6 become one route over both.
 */
export const containerRoutes = (ips: readonly IpConfig[], { index: dev }: Link): readonly Route[] => {
  const routes = ips.flatMap(({ address, gateway = '' }): Route[] => {
    const isIpv4 = familyOf(address) === 'ipv4'
    // IPv6 has rules of its own for the source (RFC 6724), and the kernel accepts no address that is still tentative.
    const way = { dev, priority: (isIpv4 ? 0 : IPV6_METRIC) + dev, src: isIpv4 ? address.split('/')[0] : undefined }
    const subnet = subnetOf(parsedAddress(address))
    return [
      { ...way, dst: alone(gateway), scope: scope.link },
      ...(subnet === alone(address) ? [] : [{ ...way, dst: subnet, via: gateway }]),
    ]
  })
  return routes.filter(({ dst }, at) => routes.findIndex(route => route.dst === dst) === at)
}

/**
 * Gives the host's end the gateway's addresses, and the host its routes to the container's. All of it goes with the
 * link.
 * @throws CniError 100 when the host reaches one of the addresses by another link
 */
export const routeHost = (host: Namespace, { name, index }: Link, ips: readonly IpConfig[]): void => {
  // A host may have IPv6 switched off on new links; and where the network has none, its end has none.
  const hasIpv6 = ips.some(({ address }) => familyOf(address) === 'ipv6')
  trySysctl(`ipv6/conf/${name}/disable_ipv6`, hasIpv6 ? '0' : '1')
  try {
    host.requestAll([
      // The gateway has to answer as soon as ADD returns, and only the container is on the wire.
      ...gatewayAddresses(ips).map(address => host.addr.adding({ index, address, noDad: true, noPrefixRoute: true })),
      ...ownAddresses(ips).map(dst => host.route.addingNew({ dst, dev: index, scope: scope.host })),
    ])
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw new CniError(
      'kernelRefused',
      `the host has a route to ${ownAddresses(ips).join(' or ')} already`,
      'another link has that address, see `ip route`: no two networks may have the same subnet',
      { cause: error },
    )
  }
  waitUntilTakenIn(host, index, gatewayAddresses(ips))
}

/**
 * @param more further routes that the container was given
 * @throws CniError 102 when packets would not find their way between the container and beyond its host
 */
export const checkRouting = (
  host: Namespace, port: Link, pod: Namespace, link: Link, ips: readonly IpConfig[], more: readonly Route[] = [],
): void => {
  const present = host.addr.list(port.index).map(({ address }) => address)
  const lost = gatewayAddresses(ips).find(address => !present.includes(address))
  if (lost !== undefined) throw broken(`${port.name} has lost the gateway's address ${lost}`)
  const toContainer = host.route.list().filter(({ dev }) => dev === port.index).map(({ dst }) => dst)
  const unrouted = ownAddresses(ips).find(dst => !toContainer.includes(dst))
  if (unrouted !== undefined) throw broken(`the host has lost its route to ${unrouted}`)
  // In any table: a later plugin may have moved them.
  const fromContainer = pod.route.list().filter(({ dev }) => dev === link.index).map(({ dst }) => dst)
  const missing = [...containerRoutes(ips, link), ...more].find(({ dst }) => !fromContainer.includes(dst))
  if (missing !== undefined) throw broken(`${link.name} has lost its route to ${missing.dst}`)
  for (const family of new Set(ips.map(({ address }) => familyOf(address))))
    if (!isForwarding(family)) throw broken(`the host does not forward ${family} packets`)
}

/** The host's end of a container's pair, up and connected. @throws CniError 102 */
export const checkPort = (host: Namespace, pod: Namespace, link: Link): Link => {
  const port = hostEnd(host, pod, link)
  if (port === undefined) throw broken(`the other end of ${link.name} is missing on the host`)
  expect(`state of ${port.name}`, port.up ? 'up' : 'down', 'up')
  expect(`carrier of ${port.name}`, port.operstate, OPERSTATE_UP)
  return port
}
