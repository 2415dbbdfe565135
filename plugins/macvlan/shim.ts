// The host's own macvlan link beside its containers': the kernel carries nothing between a parent and the links on it.
import { broken, expect } from '#cni/check.ts'
import { CniError } from '#cni/errors.ts'
import { networkLabel, type Attachment } from '#net/attachment.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { waitUntilTakenIn } from '#net/ready.ts'
import { collectShared, findShared, joinShared, leaveShared } from '#net/shared-link.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import { scope, type Route } from '#netlink/route/route.ts'
import { sha256 } from '#sys/digest.ts'
import { tolerate } from '#sys/errno.ts'

const PREFIX = 'shim-'
/** One for each parent of a network. */
const shimName = (network: string, parent: Link): string =>
  `${PREFIX}${sha256(`${network}/${parent.name}`).slice(0, 10)}`

const FIRST_METRIC = 1 << 28
const isMetric = (priority = 0): boolean => priority >= FIRST_METRIC && priority < 2 * FIRST_METRIC

/**
 * The metric of an attachment's routes. A route has no label, and there is only one to an address, so its metric can
 * say whose it is: DEL and GC find it without knowing the address.
 */
const metric = ({ network, containerId, ifName }: Attachment): number =>
  FIRST_METRIC + Number.parseInt(sha256(`${network}/${containerId}/${ifName}`).slice(0, 7), 16)

const alone = (address: string): string =>
  `${address.split('/')[0]!}/${familyOf(address) === 'ipv4' ? 32 : 128}`

/** @throws CniError 100 when the host has a way of its own to one of the destinations */
const refuseTaken = (host: Namespace, destinations: readonly string[]): void => {
  const taken = host.route.list().find(({ dst }) => destinations.includes(dst))
  if (taken === undefined) return
  throw new CniError(
    'kernelRefused',
    `the host has a route to ${taken.dst} already`,
    `another link has that address, see \`ip route show ${taken.dst}\``,
  )
}

const SCOPE_GLOBAL = 0

/**
 * Lets the host and a container reach each other.
 * @param parent the link that both stand on
 * @param addresses the container's, in CIDR form
 * @throws CniError 100 when the host has a route to one of the addresses
 */
export const admit = (
  host: Namespace, parent: Link, attachment: Attachment, addresses: readonly string[], undo: Undo,
): void => {
  const destinations = [...new Set(addresses.map(alone))]
  refuseTaken(host, destinations)
  const own = host.addr.list(parent.index).filter(addr => addr.scope === SCOPE_GLOBAL)
  const mine = own.find(({ address }) => destinations.includes(alone(address)))
  if (mine) throw new CniError('kernelRefused', `${mine.address} is the host's own address`, 'exclude it in ipam')
  const info = { kind: 'macvlan', mode: 'bridge' } as const
  const spec = { name: shimName(attachment.network, parent), parent: parent.index, up: true, info }
  const shim = joinShared(host, attachment, 'shim', spec, undo)
  // Unlike ARP, neighbour discovery answers for the addresses of the link only.
  const shared = own.filter(addr => familyOf(addr.address) === 'ipv6').map(({ address }) => alone(address))
  for (const address of shared) host.addr.ensure({ index: shim.index, address, noDad: true })
  waitUntilTakenIn(host, shim.index, shared)
  const isOwn = ({ priority }: Route): boolean => priority === metric(attachment)
  create(undo, 'routes of the host', () => removeRoutes(host, shim, isOwn), () =>
    host.requestAll(destinations.map(dst => host.route.adding({
      dst, dev: shim.index, scope: scope.link, priority: metric(attachment),
      src: own.find(addr => familyOf(addr.address) === familyOf(dst))?.address.split('/')[0],
    }))))
}

const removeRoutes = (host: Namespace, shim: Link, isStale: (route: Route) => boolean): void => {
  for (const route of host.route.list()) {
    const { dst, dev, priority } = route
    if (dev === shim.index && isStale(route)) tolerate(['ESRCH'], () => host.route.del({ dst, dev, priority }))
  }
}

/** Takes an attachment's routes away, and the host's link with the last of the network. */
export const dismiss = (host: Namespace, attachment: Attachment): void => {
  const shim = findShared(host, attachment, 'shim')
  if (shim === undefined) return
  removeRoutes(host, shim, ({ priority }) => priority === metric(attachment))
  leaveShared(host, attachment, 'shim')
}

/** Takes away what the network's attachments that no longer live have left: routes, and their use of shared links. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const keep = new Set(valid.map(metric))
  const shims = host.link.list().filter(({ name, alias }) => name.startsWith(PREFIX) && alias === networkLabel(network))
  for (const shim of shims) {
    removeRoutes(host, shim, ({ priority }) => isMetric(priority) && !keep.has(priority!))
  }
  collectShared(host, network, valid)
}

/** @throws CniError 102 when the host has no way to one of the addresses */
export const check = (host: Namespace, attachment: Attachment, addresses: readonly string[]): void => {
  const shim = findShared(host, attachment, 'shim')
  if (shim === undefined) throw broken('the host\'s link to the container is missing')
  expect(`state of ${shim.name}`, shim.up ? 'up' : 'down', 'up')
  const routes = host.route.list()
  for (const dst of addresses.map(alone)) {
    const [best] = routes.filter(route => route.dst === dst)
      .sort((one, other) => (one.priority ?? 0) - (other.priority ?? 0))
    if (best === undefined) throw broken(`the host has lost its route to ${dst}`)
    if (best.dev !== shim.index) throw broken(`the host reaches ${dst} by another link than ${shim.name}`)
  }
}
