// The WireGuard device of a host: one for all encrypted overlays, because a peer is a host, whatever networks it is in.
// It takes the place of VXLAN: packets are routed to it as they are.
import { errnoOf } from '#sys/errno.ts'
import type { Link } from '#netlink/route/link.ts'
import { Wireguard } from '#netlink/wireguard.ts'
import { isNetworkLabel } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { settleLink, type OverlayLink } from './overlay-link.ts'

export const WIREGUARD_DEVICE = 'fl-wg0'

/** As `networkLabel`, for a name that no network can have. */
const LABEL = 'fairlead:*/'

/** What the device is to be. */
export interface WireguardSpec extends Omit<OverlayLink, 'label' | 'mac'> {
  /** Base64 of 32 bytes. */
  readonly privateKey: string
  /** The UDP port on which it listens. */
  readonly port: number
}

/** Undefined when this kernel cannot encrypt; if that is a module, this loads it. */
export const findWireguard = (host: Namespace): Wireguard | undefined => Wireguard.in(host.generic)

const isOurs = ({ info, alias = '' }: Link): boolean =>
  info.kind === 'wireguard' && (alias === '' || isNetworkLabel(alias))

/** @throws Error when somebody else has the name */
const adopt = (host: Namespace): Link => {
  const found = host.link.find(WIREGUARD_DEVICE)
  if (found !== undefined && !isOurs(found))
    throw new Error(`link ${WIREGUARD_DEVICE} is not ours: rename or delete it`)
  if (found !== undefined) return found
  host.link.add({ name: WIREGUARD_DEVICE, info: { kind: 'wireguard' } })
  return host.link.get(WIREGUARD_DEVICE)
}

/**
 * Makes sure of the device and of all that belongs to it but its peers; what is as it should be is not touched, so that
 * sessions go on.
 * @throws Error that says who has the name or the port; NetlinkError
 */
export const ensureWireguard = (host: Namespace, wg: Wireguard, spec: WireguardSpec): Link => {
  const { privateKey, port } = spec
  const taken = (): Error => new Error(
    `UDP port ${port} is in use on this host: stop what uses it, or choose another wireguard-port for the agent`)
  const link = adopt(host)
  const now = wg.show(link.index)
  if (now.privateKey !== privateKey || now.listenPort !== port) {
    try {
      wg.set(link.index, { ...now.privateKey === privateKey ? {} : { privateKey }, listenPort: port })
    } catch (error) {
      throw errnoOf(error) === 'EADDRINUSE' ? Object.assign(taken(), { cause: error }) : error
    }
  }
  return settleLink(host, link, { ...spec, label: LABEL }, taken)
}

/** Removes the device, and with it peers and routes; fine when there is none. */
export const removeWireguard = (host: Namespace): void => {
  const found = host.link.find(WIREGUARD_DEVICE)
  if (found?.info.kind === 'wireguard' && found.alias === LABEL) host.link.remove(WIREGUARD_DEVICE)
}
