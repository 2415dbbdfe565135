// VLANs of a bridge port, and the gateway's link into one.
import type { Namespace } from '#net/namespace.ts'
import { sha256 } from '#sys/digest.ts'
import type { Link } from '#netlink/route/link.ts'
import { broken } from '#cni/check.ts'
import { containerPorts } from '#net/bridge.ts'
import { create, type Undo } from '#net/creation.ts'
import { trySysctl } from '#net/sysctl.ts'
import { routedLink, trunkVlans, wantsVlans, type Config } from './plan.ts'

/** The VLANs that a port is to have beside, or instead of, the bridge's default. */
const wantedVlans = ({ vlan, vlanTrunk }: Config): readonly { vid: number; pvid: boolean; untagged: boolean }[] => {
  const trunk = trunkVlans(vlanTrunk).filter(vid => vid !== vlan).map(vid => ({ vid, pvid: false, untagged: false }))
  // Without a VLAN of its own a trunk's untagged frames stay in VLAN 1, as in the Go suite.
  return [{ vid: vlan || 1, pvid: true, untagged: true }, ...trunk.filter(({ vid }) => vlan > 0 || vid !== 1)]
}

/** Puts a port into its VLANs. */
export const joinVlans = (host: Namespace, port: number, config: Config): void => {
  if (!wantsVlans(config)) return
  if (!config.preserveDefaultVlan) host.vlan.clear(port)
  for (const vlan of wantedVlans(config)) host.vlan.add(port, vlan)
}

/** @throws CniError 102 when a port is not in its VLANs */
export const checkVlans = (host: Namespace, port: Link, config: Config): void => {
  if (!wantsVlans(config)) return
  const present = host.vlan.list(port.index)
  for (const { vid, pvid, untagged } of wantedVlans(config)) {
    const found = present.find(vlan => vlan.vid === vid)
    if (found === undefined || found.pvid !== pvid || found.untagged !== untagged) {
      throw broken(`port ${port.name} is not in VLAN ${vid} as it should be`)
    }
  }
}

/**
 * The gateway's link into a VLAN: one end carries the addresses, the other is a port of the bridge in that VLAN. All
 * containers of the VLAN share it, so it stays when they go, as the bridge does.
 * @param alias labels it for the network
 */
export const ensureVlanGateway = (host: Namespace, bridge: Link, vlan: number, alias: string, undo: Undo): Link => {
  const name = routedLink({ bridge: bridge.name, vlan })
  const found = host.link.find(name)
  if (found) return found
  const peer = `veth${sha256(`${bridge.name}/${vlan}`).slice(0, 11)}`
  const isUsed = (): boolean => containerPorts(host, bridge.index)
    .some(({ index }) => host.vlan.list(index).some(({ vid }) => vid === vlan))
  const takeBack = (): void => { if (!isUsed()) host.link.remove(name) }
  create(undo, `link ${name}`, takeBack, () =>
    host.link.add({ name, mtu: bridge.mtu, info: { kind: 'veth', peer: { name: peer, mtu: bridge.mtu } } }))
  for (const end of [name, peer]) trySysctl(`ipv6/conf/${end}/accept_ra`, '0')
  const port = host.link.get(peer)
  host.link.set(port.index, { master: bridge.index, alias, up: true })
  host.vlan.clear(port.index)
  host.vlan.add(port.index, { vid: vlan, pvid: true, untagged: true })
  const link = host.link.get(name)
  host.link.set(link.index, { alias, up: true })
  return link
}
