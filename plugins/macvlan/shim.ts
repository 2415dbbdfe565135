// The host's own macvlan link beside its containers': the kernel carries nothing between a parent and the links on it.
import { broken } from '#cni/check.ts'
import type { Attachment } from '#net/attachment.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { collectShared, joinShared, leaveShared } from '#net/shared-link.ts'
import { trySysctl } from '#net/sysctl.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import { scope, type Route } from '#netlink/route/route.ts'
import { sha256 } from '#sys/digest.ts'
import { tolerate } from '#sys/errno.ts'

const shimName = (network: string): string => `shim-${sha256(network).slice(0, 10)}`

/**
 * The metric of an attachment's routes. A route has no label, and there is only one to an address, so its metric can
 * say whose it is: DEL and GC find it without knowing the address.
 */
const metric = ({ network, containerId, ifName }: Attachment): number =>
  1 + Number.parseInt(sha256(`${network}/${containerId}/${ifName}`).slice(0, 7), 16)

const alone = (address: string): string =>
  `${address.split('/')[0]!}/${familyOf(address) === 'ipv4' ? 32 : 128}`

const SCOPE_GLOBAL = 0

/**
 * Lets the host and a container reach each other.
 * @param parent the link that both stand on
 * @param addresses the container's, in CIDR form
 * @throws NetlinkError EEXIST when the host has a route to one of the addresses
 */
export const admit = (
  host: Namespace, parent: Link, attachment: Attachment, addresses: readonly string[], undo: Undo,
): void => {
  const spec = {
    name: shimName(attachment.network), parent: parent.index, info: { kind: 'macvlan', mode: 'bridge' },
  } as const
  const shim = joinShared(host, attachment, 'shim', spec, undo)
  // A container must not configure its host by router advertisements: CVE-2020-10749.
  trySysctl(`ipv6/conf/${shim.name}/accept_ra`, '0')
  host.link.set(shim.index, { up: true })
  const own = host.addr.list(parent.index).filter(addr => addr.scope === SCOPE_GLOBAL)
  for (const { address } of own.filter(addr => familyOf(addr.address) === 'ipv6')) {
    // Unlike ARP, neighbour discovery answers for the addresses of the link only.
    host.addr.ensure({ index: shim.index, address: alone(address), noDad: true })
  }
  create(undo, 'routes of the host', () => dismiss(host, attachment), () => host.requestAll(addresses.map(address =>
    host.route.adding({
      dst: alone(address), dev: shim.index, scope: scope.link, priority: metric(attachment),
      src: own.find(addr => familyOf(addr.address) === familyOf(address))?.address.split('/')[0],
    }))))
}

const removeRoutes = (host: Namespace, network: string, isStale: (route: Route) => boolean): void => {
  const shim = host.link.find(shimName(network))
  if (shim === undefined) return
  for (const { dst, dev, priority, ...route } of host.route.list()) {
    if (dev !== shim.index || !isStale({ dst, dev, priority, ...route })) continue
    tolerate(['ESRCH'], () => host.route.del({ dst, dev, priority, scope: route.scope }))
  }
}

/** Takes an attachment's routes away, and the host's link with the last of the network. */
export const dismiss = (host: Namespace, attachment: Attachment): void => {
  removeRoutes(host, attachment.network, ({ priority }) => priority === metric(attachment))
  leaveShared(host, attachment, 'shim')
}

/** Takes away what the network's attachments that no longer live have left: routes, and their use of shared links. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const keep = new Set(valid.map(metric))
  removeRoutes(host, network, ({ priority = 0, dst }) => /\/(32|128)$/.test(dst) && !keep.has(priority))
  collectShared(host, network, valid)
}

/** @throws CniError 102 when the host has no way to one of the addresses */
export const check = (host: Namespace, attachment: Attachment, addresses: readonly string[]): void => {
  const name = shimName(attachment.network)
  const shim = host.link.find(name)
  if (!shim?.up) throw broken(`the host's link ${name} is ${shim ? 'down' : 'missing'}`)
  const routes = host.route.list().filter(({ dev }) => dev === shim.index)
  const lost = addresses.find(address => !routes.some(({ dst }) => dst === alone(address)))
  if (lost !== undefined) throw broken(`the host has lost its route to ${lost}`)
}
