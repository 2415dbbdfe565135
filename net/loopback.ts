// The loopback link of a container.
import type { Link } from '#netlink/route/link.ts'
import { create, type Undo } from './creation.ts'
import type { Namespace } from './namespace.ts'

const isLoopback = (address: string): boolean => address.startsWith('127.') || address.startsWith('::1/')

/** lo and its addresses, in CIDR form; `foreign` are those that no loopback has. */
export interface Loopback {
  readonly link: Link
  readonly addresses: readonly string[]
  readonly foreign: readonly string[]
}

export const readLoopback = (pod: Namespace): Loopback => {
  const link = pod.link.get('lo')
  const addresses = pod.addr.list(link.index).map(({ address }) => address)
  return { link, addresses, foreign: addresses.filter(address => !isLoopback(address)) }
}

export const lowerLoopback = (pod: Namespace): void => pod.link.set(pod.link.get('lo').index, { up: false })

/** Brings lo up. */
export const raiseLoopback = (pod: Namespace, undo: Undo): void => {
  const { index, up } = pod.link.get('lo')
  if (!up) create(undo, 'lo up', () => lowerLoopback(pod), () => pod.link.set(index, { up: true }))
}
