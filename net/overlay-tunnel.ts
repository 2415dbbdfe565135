// The VXLAN device of an overlay network on one host: L3 only, with static entries, so it neither learns nor floods.
import { errnoOf } from '#sys/errno.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import { isNetworkLabel, networkLabel } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { settleLink } from './overlay-link.ts'

/** What the device is to be. */
export interface TunnelSpec {
  readonly network: string
  /** 1 to 2^24-1, one for each network. */
  readonly vni: number
  /** UDP port of all tunnel ends: 4789 by IANA. */
  readonly port: number
  /** This host's tunnel end: one of its addresses on the underlay. */
  readonly vtep: string
  /** The device's hardware address: for ever the same, because the other hosts have it in their entries. */
  readonly mac: string
  readonly mtu: number
  /** What the host itself sends from into the overlay: with /32 and /128, of its own block. */
  readonly addresses: readonly string[]
  /** There are IPv6 prefixes in the overlay, or tunnel ends are IPv6 and so are the gateways of its routes. */
  readonly ipv6: boolean
}

/** The name that a new device gets; one that is there keeps its own. */
export const tunnelName = (vni: number): string => `fl-vx${vni.toString(16).padStart(6, '0')}`

/** The device of a VNI, whatever its name is: the kernel tells them apart by VNI and port. */
export const findTunnel = (host: Namespace, vni: number, port: number): Link | undefined =>
  host.link.list({ kind: 'vxlan' }).find(({ info }) => info.id === vni && info.port === port)

const endOf = ({ info }: Link): string | undefined => info.local ?? info.local6

const endSpec = (vtep: string): { readonly local: string } | { readonly local6: string } =>
  familyOf(vtep) === 'ipv4' ? { local: vtep } : { local6: vtep }

const make = (host: Namespace, { vni, port, vtep, mac, mtu, network }: TunnelSpec): Link => {
  const name = tunnelName(vni)
  const taken = host.link.find(name)
  if (taken) {
    if (taken.info.kind !== 'vxlan' || !isNetworkLabel(taken.alias))
      throw new Error(`link ${name} is not ours: rename or delete it, or give network ${network} another VNI`)
    host.link.remove(name) // ours with another port, which cannot be changed
  }
  try {
    host.link.add({
      name, mtu, address: mac,
      // RFC 7348, section 5, wants none outside, over IPv4; few network cards cut packets up that have one.
      info: { kind: 'vxlan', id: vni, port, learning: 0, udpChecksum: 0, ...endSpec(vtep) },
    })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    const found = findTunnel(host, vni, port)
    if (found) return found
    // A device that has been moved keeps its VNI taken where it was made.
    throw new Error(
      `VNI ${vni} on UDP port ${port} is taken by a VXLAN device that was moved to another network namespace: ` +
      `delete it, or give network ${network} another VNI`,
      { cause: error },
    )
  }
  return host.link.get(name)
}

/** The device as it is, or a new one where it is missing or cannot be made into what it is to be. */
const adopt = (host: Namespace, spec: TunnelSpec): Link => {
  const { vni, port, vtep, network } = spec
  const found = findTunnel(host, vni, port)
  if (found === undefined) return make(host, spec)
  const { alias = '', index, name, info } = found
  if (alias !== '' && !isNetworkLabel(alias)) {
    throw new Error(
      `VNI ${vni} on UDP port ${port} is that of ${name} (${alias}): delete it, or give network ${network} another VNI`)
  }
  const end = endOf(found)
  if (end !== undefined && familyOf(end) !== familyOf(vtep)) {
    host.link.remove(name)
    return make(host, spec)
  }
  if (end !== vtep || info.learning !== 0)
    host.link.change(index, { kind: 'vxlan', id: vni, learning: 0, ...endSpec(vtep) })
  return found
}

/**
 * Makes sure of the device and of all that belongs to it; what is as it should be is not touched. A device that is
 * there with the network's VNI and port is taken over, under whatever name, unless it is labelled for something else.
 * @throws Error that says who has the VNI or the port; NetlinkError EOPNOTSUPP when the kernel has no VXLAN
 */
export const ensureTunnel = (host: Namespace, spec: TunnelSpec): Link => {
  const { network, port } = spec
  return settleLink(host, adopt(host, spec), { ...spec, label: networkLabel(network) }, () =>
    new Error(`network ${network}: UDP port ${port} is in use on this host: stop what uses it, or choose another port`))
}

/** Removes the device, and with it all entries about peers but unreachable routes; fine when there is none. */
export const removeTunnel = (host: Namespace, vni: number, port: number): void => {
  const found = findTunnel(host, vni, port)
  if (found && isNetworkLabel(found.alias)) host.link.remove(found.name)
}
