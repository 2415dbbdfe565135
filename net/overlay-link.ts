// What the devices of overlays have in common, whatever they put around a packet: nothing but the agent's own entries
// may say where packets go.
import { errnoOf } from '#sys/errno.ts'
import type { Link } from '#netlink/route/link.ts'
import { scope } from '#netlink/route/route.ts'
import type { Namespace } from './namespace.ts'
import { trySysctl } from './sysctl.ts'

/** What a device is to be; the hardware address only where it has one. */
export interface OverlayLink {
  /** Its alias. */
  readonly label: string
  readonly mtu: number
  readonly mac?: string
  /** What the host itself sends from into overlays, with /32 and /128: all of its global addresses. */
  readonly addresses: readonly string[]
  /** It is to carry IPv6. */
  readonly ipv6: boolean
}

/** @param taken what to throw when something else on this host has the UDP port */
const raise = (host: Namespace, index: number, taken: () => Error): void => {
  try {
    host.link.set(index, { up: true })
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error
    throw Object.assign(taken(), { cause: error })
  }
}

const addressesOf = (host: Namespace, index: number): string[] =>
  host.addr.list(index).filter(address => address.scope === scope.global).map(({ address }) => address)

/**
 * Makes a device what it is to be, and brings it up; what is as it should be is not touched.
 * @param taken what to throw when something else on this host has its UDP port
 * @returns the device as it is then
 */
export const settleLink = (
  host: Namespace, { index, name, alias, mtu, address, up }: Link, wanted: OverlayLink, taken: () => Error,
): Link => {
  const { label, mac = address } = wanted
  // The MTU first: below that of IPv6 the kernel forgets the settings of IPv6.
  if (alias !== label || mtu !== wanted.mtu || address !== mac)
    host.link.set(index, { alias: label, mtu: wanted.mtu, address: mac })
  host.run(() => {
    // Before it comes up.
    trySysctl(`ipv6/conf/${name}/disable_ipv6`, wanted.ipv6 ? '0' : '1')
    trySysctl(`ipv6/conf/${name}/accept_ra`, '0')
    trySysctl(`ipv6/conf/${name}/addr_gen_mode`, '1') // no link-local address: it would only be announced to nobody
    trySysctl(`ipv4/conf/${name}/send_redirects`, '0')
  })
  if (!up) raise(host, index, taken)
  const now = addressesOf(host, index)
  for (const text of wanted.addresses.filter(text => !now.includes(text)))
    host.addr.ensure({ index, address: text, noDad: text.includes(':') })
  for (const stale of now.filter(text => !wanted.addresses.includes(text)))
    host.addr.del({ index, address: stale })
  return host.link.at(index)
}
