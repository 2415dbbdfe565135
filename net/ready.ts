// Waiting until a link can carry packets: bounded, and short where the kernel is quick.
import { sleep } from '#sys/sleep.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Addr } from '#netlink/route/addr.ts'
import { OPERSTATE_UP } from '#netlink/route/link.ts'
import type { Namespace } from './namespace.ts'

/** Tries until `done` says so. @returns false when `limit` milliseconds have passed first */
const poll = (limit: number, done: () => boolean): boolean => {
  const pauses = [0.2, 0.5, 1, 2, 5, 10, 20, 50]
  for (let waited = 0, i = 0; ; i++) {
    if (done()) return true
    if (waited >= limit) return false
    const pause = pauses[Math.min(i, pauses.length - 1)]!
    sleep(pause)
    waited += pause
  }
}

const CARRIER_LIMIT_MS = 2500 // what the Go suite allows a bridge port

/** Waits for the operational state UP, which a bridge forwards only from. @returns false when it does not come */
export const waitForCarrier = (namespace: Namespace, name: string): boolean =>
  poll(CARRIER_LIMIT_MS, () => namespace.link.get(name).operstate === OPERSTATE_UP)

/** Without a carrier the kernel puts IPv6 addresses off. */
const hasNoCarrier = (namespace: Namespace, index: number): boolean => namespace.link.at(index).carrier === 0

const areTakenIn = (
  namespace: Namespace, index: number, addresses: readonly string[], table?: number,
): boolean => {
  const wanted = addresses.filter(address => familyOf(address) === 'ipv6').map(address => address.split('/')[0]!)
  if (wanted.length === 0) return true
  const local = new Set(namespace.route.local6(index, table))
  return wanted.every(address => local.has(address))
}

const DETECTION_LIMIT_MS = 5000

/**
 * Waits until packets to IPv6 addresses of a link are taken in, which were added without duplicate address detection:
 * the kernel makes the route to itself a moment later. Gives up on a link without carrier, and when it takes unusually
 * long.
 * @param addresses in canonical text, with prefix length
 * @param table of the VRF that the link is a port of
 */
export const waitUntilTakenIn = (
  namespace: Namespace, index: number, addresses: readonly string[], table?: number,
): void => {
  poll(DETECTION_LIMIT_MS, () => areTakenIn(namespace, index, addresses, table) || hasNoCarrier(namespace, index))
}

/**
 * Waits for duplicate address detection on a link to end, and as `waitUntilTakenIn`. Without a carrier detection does
 * not begin, and is not waited for: a tap has none before a process opens it.
 * @returns the addresses that somebody else has; those still undecided in the end count as usable
 */
export const waitForAddresses = (namespace: Namespace, index: number): readonly string[] => {
  let present: readonly Addr[] = []
  poll(DETECTION_LIMIT_MS, () => {
    present = namespace.addr.list(index)
    const sound = present.filter(({ dadFailed }) => !dadFailed)
    const isDone = sound.every(({ tentative }) => !tentative) &&
      areTakenIn(namespace, index, sound.map(({ address }) => address))
    return isDone || hasNoCarrier(namespace, index)
  })
  return present.filter(({ dadFailed }) => dadFailed).map(({ address }) => address)
}
