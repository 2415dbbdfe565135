// The bridge of a network on the host.
import { errnoOf } from '#sys/errno.ts'
import { readRandom } from '#sys/file.ts'
import type { Link } from '#netlink/route/link.ts'
import { formatMac } from '#netlink/mac.ts'
import { isNetworkLabel } from './attachment.ts'
import { create, type Undo } from './creation.ts'
import { whileHostIsLocked } from './host-lock.ts'
import type { Namespace } from './namespace.ts'
import { readSysctl, trySysctl, writeSysctl } from './sysctl.ts'

/** What a bridge is to be if it does not exist yet. An existing one keeps its mtu and VLAN filtering. */
export interface BridgeSpec {
  readonly name: string
  readonly mtu?: number | undefined
  readonly vlanFiltering?: boolean
  readonly alias: string
}

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
 * @throws NetlinkError EOPNOTSUPP when the kernel has no bridges
 */
export const ensureBridge = (host: Namespace, { name, mtu, vlanFiltering, alias }: BridgeSpec, undo: Undo): Link => {
  const found = host.link.find(name)
  if (found) return found
  const info = { kind: 'bridge', vlanFiltering: vlanFiltering ? 1 : undefined } as const
  try {
    create(undo, `bridge ${name}`, () => removeIfUnused(host, name), () =>
      host.link.add({ name, mtu, address: randomMac(), info }))
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    return host.link.get(name)
  }
  const link = host.link.get(name)
  host.link.set(link.index, { alias })
  // As long as the link-local address is tentative, a second or two, the kernel asks for no neighbour on behalf of a
  // packet that it forwards (ndisc_send_ns), and what is published on the host does not get to the first container.
  trySysctl(`ipv6/conf/${name}/accept_dad`, '0')
  return link
}

/** Brings a bridge up, closed to router advertisements (CVE-2020-10749). What it was before comes back with `undo`. */
export const raiseBridge = (host: Namespace, bridge: Link, promisc: boolean, undo: Undo): void => {
  const setting = `ipv6/conf/${bridge.name}/accept_ra`
  const before = readSysctl(setting)
  if (before !== undefined && before !== '0') {
    create(undo, setting, () => trySysctl(setting, before), () => writeSysctl(setting, '0'))
  }
  const { index, up } = bridge
  if (up && (bridge.promisc || !promisc)) return
  const takeBack = (): void => {
    if (containerPorts(host, index).length === 0) host.link.set(index, { up, promisc: bridge.promisc })
  }
  create(undo, `state of ${bridge.name}`, takeBack, () =>
    host.link.set(index, { up: true, promisc: promisc || undefined }))
}

const NO_LINKLOCAL_LEARN = 1

/**
 * Has a bridge learn nothing from link-local frames such as LLDP's. The kernel handles these before any nftables rule,
 * so that by one of them a container could take another's hardware address in the FDB.
 */
export const ignoreLinkLocalSources = (host: Namespace, bridge: Link): void =>
  host.link.change(bridge.index, {
    kind: 'bridge', boolOptions: { value: NO_LINKLOCAL_LEARN, mask: NO_LINKLOCAL_LEARN },
  })

/** The ports that containers are behind; those labelled for a network as a whole, such as a VLAN's gateway, are not. */
export const containerPorts = (host: Namespace, bridge: number): readonly Link[] =>
  host.link.list({ master: bridge }).filter(({ alias }) => !isNetworkLabel(alias))

/**
 * Removes a bridge, with the links that it shares out to its containers, unless it has any. Who joins a container to a
 * bridge holds the shared lock from looking for the bridge until the port is there.
 * @param also done with the lock still held, when the bridge is gone
 */
export const removeIfUnused = (
  host: Namespace, name: string, also = (): void => {},
): void => whileHostIsLocked('exclusive', () => {
  const bridge = host.link.find(name)
  const ports = bridge ? host.link.list({ master: bridge.index }) : []
  if (!ports.every(({ alias }) => isNetworkLabel(alias))) return
  for (const shared of ports) host.link.remove(shared.name)
  host.link.remove(name)
  also()
})
