// The result object of ADD, and how each spec version has it (SPEC.md, section 5, "Success", of 0.2.0 to 1.1.0).

import type { JsonObject } from './json.ts'
import { isAtLeast } from './versions.ts'

export interface Interface {
  name: string
  mac?: string
  mtu?: number
  sandbox?: string
}

export interface Ip {
  version?: string
  address: string
  gateway?: string
  interface?: number
}

export interface Route {
  dst: string
  gw?: string
  mtu?: number
  advmss?: number
  priority?: number
  table?: number
  scope?: number
}

export interface Dns {
  nameservers?: string[]
  domain?: string
  search?: string[]
  options?: string[]
}

/** What 0.1.0 and 0.2.0 have under `ip4` and `ip6`. */
export interface LegacyIp {
  ip: string
  gateway?: string
  routes?: Route[]
}

export interface Result {
  cniVersion?: string
  interfaces?: Interface[]
  ips?: Ip[]
  routes?: Route[]
  dns?: Dns
  ip4?: LegacyIp
  ip6?: LegacyIp
}

/** The addresses of a result, without prefix lengths. */
export const addressesOf = ({ ips = [] }: Result): string[] => ips.map(({ address }) => address.split('/')[0] ?? '')

export const isIpv6 = (address: string): boolean => address.includes(':')

const legacyIp = (result: Result, six: boolean): LegacyIp | undefined => {
  const first = result.ips?.find(ip => isIpv6(ip.address) === six)
  if (!first) return undefined
  const routes = (result.routes ?? []).filter(route => isIpv6(route.dst) === six)
  return {
    ip: first.address,
    ...(first.gateway && { gateway: first.gateway }),
    ...(routes.length && { routes: routes.map(({ dst, gw }) => (gw ? { dst, gw } : { dst })) }),
  }
}

/** A result of 1.x as another version has it; what the older version cannot say is left out. */
export const resultIn = (version: string, result: Result): JsonObject => {
  if (!isAtLeast(version, '0.3.0')) {
    const [ip4, ip6] = [legacyIp(result, false), legacyIp(result, true)]
    return { cniVersion: version, ...(ip4 && { ip4 }), ...(ip6 && { ip6 }), dns: result.dns ?? {} }
  }
  const { interfaces = [], ips = [], routes = [], dns = {} } = result
  if (isAtLeast(version, '1.1.0')) return { cniVersion: version, interfaces, ips, routes, dns }
  return {
    cniVersion: version,
    interfaces: interfaces.map(({ name, mac, sandbox }) =>
      ({ name, ...(mac && { mac }), ...(sandbox && { sandbox }) })),
    ips: isAtLeast(version, '1.0.0') ? ips : ips.map(ip => ({ version: isIpv6(ip.address) ? '6' : '4', ...ip })),
    routes: routes.map(({ dst, gw }) => (gw ? { dst, gw } : { dst })),
    dns,
  }
}
