// Gateways and default routes that a plugin adds to what IPAM says.
import { canonicalPrefix, nthAddress, parsePrefix, type Prefix } from '#net/prefix.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import { CniError } from './errors.ts'
import type { IpConfig, Result, Route } from './result.ts'

/** An address of a result. @throws CniError 105 when it is none */
export const parsedAddress = (address: string): Prefix => {
  const prefix = parsePrefix(address)
  if (prefix === undefined) {
    throw new CniError(
      'delegateFailed',
      `the IPAM plugin returned ${JSON.stringify(address)}`,
      'an address needs the form 10.1.2.3/24',
    )
  }
  return prefix
}

/** Every address with a gateway: the one that IPAM names, otherwise the first of its subnet. */
export const withGateways = (ips: readonly IpConfig[]): readonly (IpConfig & { readonly gateway: string })[] =>
  ips.map(ip => ({ ...ip, gateway: ip.gateway ?? nthAddress(parsedAddress(ip.address), 1) }))

const anywhere: Readonly<Record<Family, string>> = { ipv4: '0.0.0.0/0', ipv6: '::/0' }

/** A default route for each family that has an address and no default route with a gateway yet. */
export const defaultRoutes = ({ ips, routes }: Result): readonly Route[] =>
  [...new Set(ips.map(({ address }) => familyOf(address)))]
    .filter(family => !routes.some(({ dst, gw }) => canonicalPrefix(dst) === anywhere[family] && gw !== undefined))
    .map(family => ({ dst: anywhere[family], gw: ips.find(ip => familyOf(ip.address) === family)!.gateway }))
