// Leasing: one address from every range set, or none at all.
import { candidates, describeSet, numberIn, type RangeSet } from '#cni/address-range.ts'
import { Cleanup } from '#cni/cleanup.ts'
import { CniError } from '#cni/errors.ts'
import type { Attachment } from '#net/attachment.ts'
import type { Store } from './store.ts'

/** Failed attempts before the directory is listed instead: usually the address after the last one is free. */
const MISSES = 4

export const exhausted = (code: 'outOfAddresses' | 'notAvailable', set: RangeSet, network: string): CniError => {
  const advice = 'remove containers, let the runtime collect garbage (GC), or give the network a larger range'
  return new CniError(code, `${describeSet(set)} of network ${network} has no free address`, advice)
}

const firstFree = (store: Store, set: RangeSet, index: number, attachment: Attachment): string => {
  const { network, containerId, ifName } = attachment
  let misses = 0
  let taken: ReadonlySet<string> | undefined
  for (const address of candidates(set, numberIn(set.family, store.last(index)))) {
    if (taken?.has(address)) continue
    if (store.reserve(address, containerId, ifName)) return address
    if (++misses === MISSES) taken = store.taken()
  }
  throw exhausted('outOfAddresses', set, network)
}

const takeRequested = (store: Store, address: string, { containerId, ifName }: Attachment): string => {
  if (store.reserve(address, containerId, ifName)) return address
  const [holder = ''] = (store.record(address) ?? '').split('\r\n')
  const by = holder || 'a record without container'
  const advice = 'ask for another one, or delete that attachment'
  throw new CniError('outOfAddresses', `requested address ${address} is taken by ${by}`, advice)
}

/**
 * Records one address of every range set for an attachment; what was recorded is removed again when one of them fails.
 * @param requested the address wanted of each set, undefined for the next free one
 * @returns the addresses in the order of the sets
 * @throws CniError 101 when there is none, 103 when the attachment has addresses already
 */
export const lease = (
  store: Store, sets: readonly RangeSet[], requested: readonly (string | undefined)[], attachment: Attachment,
): string[] => {
  const { network, containerId, ifName } = attachment
  const held = store.held(containerId, ifName)
  if (held.length > 0) {
    const message = `${containerId}/${ifName} has ${held.join(', ')} of network ${network} already`
    throw new CniError('alreadyAttached', message, 'delete the attachment before it is added again')
  }
  store.sweep()
  const leased: string[] = []
  try {
    for (const [i, set] of sets.entries()) {
      const wanted = requested[i]
      leased.push(wanted ? takeRequested(store, wanted, attachment) : firstFree(store, set, i, attachment))
    }
    for (const [i, address] of leased.entries()) store.setLast(i, address)
  } catch (error) {
    const cleanup = new Cleanup()
    for (const address of leased) cleanup.attempt(() => store.release(address))
    throw error
  }
  return leased
}
