// The container's interface: what the drivers that make one have in common.
import type { Namespace } from '#net/namespace.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import { waitForAddresses } from '#net/ready.ts'
import type { Route } from '#netlink/route/route.ts'
import { configure } from './configure.ts'
import type { Add } from './driver.ts'
import { requireExpressible } from './encode.ts'
import { CniError, invalidConfig } from './errors.ts'
import { noResult, type Dns, type Interface, type Result } from './result.ts'

/** A link as results describe it. @param sandbox path of the namespace, of links that are not on the host */
export const describe = ({ name, address: mac, mtu }: Link, sandbox?: string): Interface =>
  ({ name, mac, mtu, sandbox })

/** @throws CniError 103 when the container has a link of that name already */
export const requireFree = (pod: Namespace, ifName: string): void => {
  if (pod.link.find(ifName) === undefined) return
  throw new CniError(
    'alreadyAttached',
    `${ifName} exists already in ${pod.path}`,
    'delete that attachment first, or choose another CNI_IFNAME',
  )
}

const LEAST_MTU = 68 // ETH_MIN_MTU of include/uapi/linux/if_ether.h
const LEAST_IPV6_MTU = 1280 // RFC 8200, section 5; below it the kernel takes IPv6 off the link

/** @throws CniError 7 when no Ethernet link can have this MTU; 0 is the kernel's default */
export const refuseMtu = (mtu: number): void => {
  if (mtu > 0 && mtu < LEAST_MTU) {
    throw invalidConfig(`mtu ${mtu} is below ${LEAST_MTU}`, 'give a larger one, or 0 for the kernel\'s default')
  }
}

/** @throws CniError 7 when the link would be too small for an address that has been leased */
export const refuseSmallMtu = (mtu: number, { ips }: Result): void => {
  const ipv6 = ips.find(({ address }) => familyOf(address) === 'ipv6')
  if (ipv6 && mtu > 0 && mtu < LEAST_IPV6_MTU) {
    throw invalidConfig(
      `mtu ${mtu} is too small for ${ipv6.address}`,
      `IPv6 needs ${LEAST_IPV6_MTU} at least: raise mtu or remove the IPv6 range`,
    )
  }
}

interface Wishes {
  readonly dns?: Dns | undefined
  readonly internal?: boolean | undefined
}

/** What IPAM has leased, as the container is to see it. */
export const planned = ({ dns = {}, internal = false }: Wishes, leased: Result | undefined): Result => {
  if (leased === undefined) return { ...noResult, dns }
  // IPv6 is off where there is no address of it, so a route of a family without addresses leads nowhere.
  const families = leased.ips.map(({ address }) => familyOf(address))
  const routes = leased.routes
    .filter(({ dst }) => families.includes(familyOf(dst)) && !(internal && dst.endsWith('/0')))
  return { ...leased, routes, dns: Object.keys(dns).length > 0 ? dns : leased.dns }
}

/** @throws CniError 106 that names addresses on the link that somebody else has */
export const refuseDuplicates = (pod: Namespace, link: Link, { ips }: Result): void => {
  if (!ips.some(({ address }) => familyOf(address) === 'ipv6')) return
  const taken = waitForAddresses(pod, link.index)
  if (taken.length === 0) return
  throw new CniError(
    'kernelRefused',
    `somebody else has ${taken.join(', ')}`,
    'find the duplicate in the network, or switch enabledad off',
  )
}

interface LinkWishes extends Wishes {
  readonly mtu?: number | undefined
  readonly enabledad?: boolean | undefined
}

type FinishCall = Pick<Add<LinkWishes>, 'config' | 'cniVersion' | 'ipam' | 'pod' | 'undo'>

/** Leases addresses, to be given back if something fails later. @returns undefined when no IPAM plugin is configured */
export const lease = ({ ipam, undo }: Pick<FinishCall, 'ipam' | 'undo'>): Result | undefined => {
  const leased = ipam.add()
  undo('address lease', () => ipam.del())
  return leased
}

/**
 * Leases the addresses of a link that is in the container under its final name, and configures it.
 * @param adapt changes what has been planned before it is applied
 * @param ways the link's routes in place of those to the addresses' subnets, see `configure`
 * @returns the result of this plugin alone, with the link as its only interface
 * @throws CniError, NetlinkError
 */
export const finish = (
  call: FinishCall, link: Link, adapt = (plan: Result): Result => plan, ways?: (plan: Result) => readonly Route[],
): Result => finishWith(call, link, lease(call), adapt, ways)

/** The same with addresses that have been leased before, for links that should not be moved in vain. */
export const finishWith = (
  { config, cniVersion, pod }: Pick<FinishCall, 'config' | 'cniVersion' | 'pod'>, link: Link,
  leased: Result | undefined, adapt = (plan: Result): Result => plan, ways?: (plan: Result) => readonly Route[],
): Result => {
  const plan = adapt(planned(config, leased))
  const layer3 = plan.ips.length > 0
  requireExpressible(cniVersion, layer3 ? plan.ips : 'none')
  refuseSmallMtu(config.mtu ?? 0, plan)
  if (layer3) {
    configure(pod, link, plan, config.enabledad === true, ways?.(plan))
    refuseDuplicates(pod, link, plan)
  } else {
    pod.link.set(link.index, { up: true })
  }
  const interfaces = [describe(link, pod.path)]
  return { ...plan, interfaces, ips: plan.ips.map(ip => ({ ...ip, interface: 0 })) }
}
