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

const areTakenIn = (namespace: Namespace, addresses: readonly Addr[]): boolean => {
  const local = new Set(namespace.route.local6())
  return addresses.every(({ address, dadFailed }) =>
    dadFailed || familyOf(address) === 'ipv4' || local.has(address.split('/')[0]!))
}

const DETECTION_LIMIT_MS = 5000

/**
 * Waits for duplicate address detection on a link to end, and until packets to its IPv6 addresses are taken in: the
 * kernel makes the route to itself a moment after an address, also of one that is not detected for. Without a carrier
 * detection does not begin, and is not waited for: a tap has none before a process opens it.
 * @returns the addresses that somebody else has; those still undecided in the end count as usable
 */
export const waitForAddresses = (namespace: Namespace, index: number): readonly string[] => {
  let present: readonly Addr[] = []
  poll(DETECTION_LIMIT_MS, () => {
    present = namespace.addr.list(index)
    return present.every(({ tentative, dadFailed }) => dadFailed || !tentative) && areTakenIn(namespace, present) ||
      namespace.link.at(index).carrier === 0
  })
  return present.filter(({ dadFailed }) => dadFailed).map(({ address }) => address)
}
