// The bridge as the containers' gateway.
import { CniError, invalidConfig } from '#cni/errors.ts'
import type { IpConfig, Result, Route } from '#cni/result.ts'
import { label, type Attachment } from '#net/attachment.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { attachedLinks } from '#net/veth.ts'
import { canonicalPrefix, nthAddress, overlaps, parsePrefix, type Prefix } from '#net/prefix.ts'
import { readSysctl, trySysctl, writeSysctl } from '#net/sysctl.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import { tolerate } from '#sys/errno.ts'
import type { Addr } from '#netlink/route/addr.ts'

const parsed = (address: string): Prefix => {
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
  ips.map(ip => ({ ...ip, gateway: ip.gateway ?? nthAddress(parsed(ip.address), 1) }))

const anywhere: Readonly<Record<Family, string>> = { ipv4: '0.0.0.0/0', ipv6: '::/0' }

/** A default route for each family that has an address and no default route with a gateway yet. */
export const defaultRoutes = ({ ips, routes }: Result): readonly Route[] =>
  [...new Set(ips.map(({ address }) => familyOf(address)))]
    .filter(family => !routes.some(({ dst, gw }) => canonicalPrefix(dst) === anywhere[family] && gw !== undefined))
    .map(family => ({ dst: anywhere[family], gw: ips.find(ip => familyOf(ip.address) === family)!.gateway }))

/** The addresses that the bridge is to have, `10.1.2.1/24`. */
export const gatewayAddresses = (ips: readonly IpConfig[]): readonly string[] =>
  ips.flatMap(({ address, gateway }) => gateway ? [canonicalPrefix(`${gateway}/${parsed(address).length}`)] : [])

/** Whether an address on the bridge leaves no room for the gateway's: any other IPv4 one, IPv6 ones of its subnet. */
const inTheWay = (present: Addr, wanted: string, all: readonly string[]): boolean => {
  const isOfFamily = familyOf(present.address) === familyOf(wanted)
  if (present.scope !== 0 || all.includes(present.address) || !isOfFamily) return false
  return familyOf(wanted) === 'ipv4' || overlaps(parsed(present.address), parsed(wanted))
}

/**
 * Gives the bridge the gateway's addresses.
 * @param force removes addresses that are in the way, otherwise they are an error
 * @param isShared whether other containers may rely on the addresses by now; then a failed ADD leaves them
 * @param undo is told how to take each change back
 * @throws CniError 7
 */
export const addGatewayAddresses = (
  host: Namespace, bridge: { readonly name: string; readonly index: number }, wanted: readonly string[], force: boolean,
  isShared: () => boolean, undo: Undo,
): void => {
  const { index } = bridge
  const present = host.addr.list(index)
  if (wanted.some(address => familyOf(address) === 'ipv6')) trySysctl(`ipv6/conf/${bridge.name}/keep_addr_on_down`, '1')
  for (const old of present.filter(addr => wanted.some(address => inTheWay(addr, address, wanted)))) {
    if (!force) {
      throw invalidConfig(
        `bridge ${bridge.name} has ${old.address}, but the gateway is ${wanted.join(', ')}`,
        'use another bridge or subnet, or set forceAddress',
      )
    }
    const { address } = old
    create(undo, `address ${address} of ${bridge.name}`, () => host.addr.ensure({ index, address }), () =>
      // The kernel takes secondary addresses away with their first.
      tolerate(['EADDRNOTAVAIL'], () => host.addr.del({ index, address })))
  }
  for (const address of wanted.filter(wish => !present.some(addr => addr.address === wish))) {
    // The gateway has to answer as soon as ADD returns; that nobody else has its address is the configuration's
    // business.
    const takeBack = (): void => {
      if (!isShared()) tolerate(['EADDRNOTAVAIL', 'ENODEV'], () => host.addr.del({ index, address }))
    }
    tolerate(['EEXIST'], () => create(undo, `address ${address} of ${bridge.name}`, takeBack, () =>
      host.addr.add({ index, address, noDad: true })))
  }
}

const forwarding: Readonly<Record<Family, string>> = { ipv4: 'ipv4/ip_forward', ipv6: 'ipv6/conf/all/forwarding' }

/**
 * Has the host forward packets of the families in use. A failed ADD takes it back only on a host without any other
 * attachment: by then somebody else may rely on it.
 */
export const enableForwarding = (
  host: Namespace, attachment: Attachment, families: ReadonlySet<Family>, undo: Undo,
): void => {
  const isAlone = (): boolean => attachedLinks(host).every(({ alias }) => alias === label(attachment))
  for (const family of families) {
    const before = readSysctl(forwarding[family])
    if (before === '1') continue
    const takeBack = (): void => { if (before !== undefined && isAlone()) writeSysctl(forwarding[family], before) }
    create(undo, forwarding[family], takeBack, () => writeSysctl(forwarding[family], '1'))
  }
}
