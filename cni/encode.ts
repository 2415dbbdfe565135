// A result as each version of the specification wants it: SPEC.md, section 5, of the versions 0.1.0 to 1.1.0.
import { familyOf } from '#netlink/ip.ts'
import { invalidConfig } from './errors.ts'
import type { Json } from './json.ts'
import type { Interface, IpConfig, Result, Route } from './result.ts'
import { atLeast } from './spec.ts'

const hasInterfaces = (version: string): boolean => atLeast(version, '0.3.0')

/**
 * Refuses, before anything is touched, what an old result has no place for: no address at all, or a second one of a
 * family.
 * @param ips the addresses there will be, or that there will be none
 * @throws CniError 7
 */
export const requireExpressible = (version: string, ips: readonly { readonly address: string }[] | 'none'): void => {
  if (hasInterfaces(version)) return
  const advice = 'use cniVersion 0.3.0 or newer'
  if (ips === 'none') {
    throw invalidConfig(`cniVersion ${version} has no result without an IP address`, `${advice}, or configure ipam`)
  }
  const families = ips.map(ip => familyOf(ip.address))
  if (new Set(families).size < families.length) {
    const addresses = ips.map(ip => ip.address).join(', ')
    throw invalidConfig(`cniVersion ${version} has no room for ${addresses}: one address per family`, advice)
  }
}

const oldInterface = ({ mtu: _mtu, socketPath: _socketPath, pciID: _pciID, ...rest }: Interface): Interface => rest

const oldRoute = (
  { mtu: _mtu, advmss: _advmss, priority: _priority, table: _table, scope: _scope, ...rest }: Route,
): Route => rest

const withVersion = (ip: IpConfig): IpConfig & { readonly version: string } =>
  ({ version: familyOf(ip.address) === 'ipv4' ? '4' : '6', ...ip })

/** ip4 and ip6 of 0.1.0 and 0.2.0: the first address of each family, and its routes. */
const families = ({ ips, routes }: Result): object =>
  Object.fromEntries((['ipv4', 'ipv6'] as const).flatMap(family => {
    const first = ips.find(ip => familyOf(ip.address) === family)
    if (first === undefined) return []
    const own = routes.filter(route => familyOf(route.dst) === family).map(({ dst, gw }) => ({ dst, gw }))
    return [[family === 'ipv4' ? 'ip4' : 'ip6', {
      ip: first.address, gateway: first.gateway, ...(own.length > 0 ? { routes: own } : {}),
    }]]
  }))

const filled = (list: readonly unknown[]): boolean => list.length > 0

/** The object that `result` is on stdout under `version`. */
export const encodeResult = (result: Result, version: string): Json => {
  const { interfaces, ips, routes, dns, ...unknown } = result
  if (!hasInterfaces(version)) return { cniVersion: version, ...families(result), dns }
  const current = atLeast(version, '1.1.0')
  return {
    cniVersion: version,
    ...(filled(interfaces) ? { interfaces: current ? interfaces : interfaces.map(oldInterface) } : {}),
    ...(filled(ips) ? { ips: atLeast(version, '1.0.0') ? ips : ips.map(withVersion) } : {}),
    ...(filled(routes) ? { routes: current ? routes : routes.map(oldRoute) } : {}),
    ...(atLeast(version, '1.0.0') && Object.keys(dns).length === 0 ? {} : { dns }),
    ...unknown,
  }
}
