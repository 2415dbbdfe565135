// The bridge as the containers' gateway.
import { invalidConfig } from '#cni/errors.ts'
import { parsedAddress } from '#cni/gateways.ts'
import type { IpConfig } from '#cni/result.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { canonicalPrefix, overlaps } from '#net/prefix.ts'
import { waitUntilTakenIn } from '#net/ready.ts'
import { trySysctl } from '#net/sysctl.ts'
import { familyOf } from '#netlink/ip.ts'
import { tolerate } from '#sys/errno.ts'
import type { Addr } from '#netlink/route/addr.ts'

/** The addresses that the bridge is to have, `10.1.2.1/24`. */
export const gatewayAddresses = (ips: readonly IpConfig[]): readonly string[] =>
  ips.flatMap(({ address, gateway }) => gateway ? [canonicalPrefix(`${gateway}/${parsedAddress(address).length}`)] : [])

/** Whether an address on the bridge leaves no room for the gateway's: any other IPv4 one, IPv6 ones of its subnet. */
const inTheWay = (present: Addr, wanted: string, all: readonly string[]): boolean => {
  const isOfFamily = familyOf(present.address) === familyOf(wanted)
  if (present.scope !== 0 || all.includes(present.address) || !isOfFamily) return false
  return familyOf(wanted) === 'ipv4' || overlaps(parsedAddress(present.address), parsedAddress(wanted))
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
  const missing = wanted.filter(wish => !present.some(addr => addr.address === wish))
  for (const address of missing) {
    // The gateway has to answer as soon as ADD returns; that nobody else has its address is the configuration's
    // business.
    const takeBack = (): void => {
      if (!isShared()) tolerate(['EADDRNOTAVAIL', 'ENODEV'], () => host.addr.del({ index, address }))
    }
    tolerate(['EEXIST'], () => create(undo, `address ${address} of ${bridge.name}`, takeBack, () =>
      host.addr.add({ index, address, noDad: true })))
  }
  waitUntilTakenIn(host, index, missing)
}
