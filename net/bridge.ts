// The bridge of a network on the host.
import { readRandom } from '#sys/file.ts'
import { errnoOf } from '#sys/errno.ts'
import type { Link } from '#netlink/route/link.ts'
import { formatMac } from '#netlink/mac.ts'
import { isNetworkLabel } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { trySysctl } from './sysctl.ts'

/** What a bridge is to be if it does not exist yet. An existing one keeps its mtu and VLAN filtering. */
export interface BridgeSpec { readonly name: string; readonly mtu?: number | undefined; readonly vlanFiltering?: boolean; readonly alias: string }

/**
 * A random, locally administered unicast address. Set explicitly it stays: a bridge without one takes that of a port,
 * and changes it whenever ports come and go.
 */
const randomMac = (): string => {
  const bytes = readRandom(6)
  bytes[0] = bytes[0]! & 0xfc | 2
  return formatMac(bytes)
}

/**
 * The bridge of that name, created when there is none; concurrent callers get the same.
 * @returns the link and whether it was created
 * @throws NetlinkError EOPNOTSUPP when the kernel has no bridges
 */
export const ensureBridge = (host: Namespace, { name, mtu, vlanFiltering, alias }: BridgeSpec): { link: Link; created: boolean } => {
  const found = host.link.find(name)
  if (found) return { link: found, created: false }
  try {
    host.link.add({ name, mtu, address: randomMac(), info: { kind: 'bridge', vlanFiltering: vlanFiltering ? 1 : undefined } })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    return { link: host.link.get(name), created: false }
  }
  const link = host.link.get(name)
  host.link.set(link.index, { alias })
  return { link, created: true }
}

/** Brings a bridge up, closed to router advertisements (CVE-2020-10749). */
export const raiseBridge = (host: Namespace, bridge: Link, promisc: boolean): void => {
  trySysctl(`ipv6/conf/${bridge.name}/accept_ra`, '0')
  if (!bridge.up || (promisc && !bridge.promisc)) host.link.set(bridge.index, { up: true, promisc: promisc || undefined })
}

/** The ports that containers are behind; those labelled for a network as a whole, such as a VLAN's gateway, are not. */
export const containerPorts = (host: Namespace, bridge: number): readonly Link[] =>
  host.link.list({ master: bridge }).filter(({ alias }) => !isNetworkLabel(alias))

/** Removes a bridge, with the links that it shares out to its containers, unless it has any. */
export const removeIfUnused = (host: Namespace, name: string): void => {
  const bridge = host.link.find(name)
  if (bridge === undefined || containerPorts(host, bridge.index).length > 0) return
  for (const shared of host.link.list({ master: bridge.index })) host.link.remove(shared.name)
  host.link.remove(name)
}
