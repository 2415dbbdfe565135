// The loopback link of a container.
import type { Link } from '#netlink/route/link.ts'
import type { Namespace } from './namespace.ts'

const isLoopback = (address: string): boolean => address.startsWith('127.') || address.startsWith('::1/')

/** lo and its addresses, in CIDR form; `foreign` are those that no loopback has. */
export interface Loopback { readonly link: Link; readonly addresses: readonly string[]; readonly foreign: readonly string[] }

export const readLoopback = (pod: Namespace): Loopback => {
  const link = pod.link.get('lo')
  const addresses = pod.addr.list(link.index).map(({ address }) => address)
  return { link, addresses, foreign: addresses.filter(address => !isLoopback(address)) }
}

/** Brings lo up. @returns whether it was down */
export const raiseLoopback = (pod: Namespace): boolean => {
  const lo = pod.link.get('lo')
  if (!lo.up) pod.link.set(lo.index, { up: true })
  return !lo.up
}

export const lowerLoopback = (pod: Namespace): void => pod.link.set(pod.link.get('lo').index, { up: false })
