// Addresses that an attachment asks for: CONVENTIONS.md of CNI, `ips` and CNI_ARGS.
import { contains, describe, rangeFor, type RangeSet } from '#cni/address-range.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { requestedIps, type RequestedIp } from '#cni/requested-ips.ts'
import { parsePrefix } from '#net/prefix.ts'
import { familyOf, numberOf, parseIp, textOf, type Family } from '#netlink/ip.ts'
import type { Config } from './config.ts'

interface Request extends RequestedIp { readonly family: Family; readonly address: bigint }

/** The prefix length that a request may carry says nothing: the range's subnet has one. */
const readRequest = ({ key, text }: RequestedIp): Request => {
  const bytes = parseIp(text) ?? parsePrefix(text)?.bytes
  if (bytes === undefined) throw invalidConfig(`${key} "${text}" is no IP address`, 'write 10.1.2.3 or 10.1.2.3/24')
  return { key, text, family: familyOf(text), address: numberOf(bytes) }
}

const refuse = ({ key, text }: Request, reason: string): CniError =>
  invalidConfig(`${key} ${text} ${reason}`, 'ask for an address of the ranges that is neither gateway nor excluded')

/**
 * The requested address of each range set, undefined for a set that may choose.
 * @param cniArgs the values of CNI_ARGS
 * @throws CniError 7 for an address that no set can give
 */
export const assignRequests = (
  config: Config, cniArgs: ReadonlyMap<string, string>, sets: readonly RangeSet[],
): (string | undefined)[] => {
  const requests = requestedIps(config, cniArgs).map(readRequest)
  const assigned = sets.map(set => {
    const at = requests.findIndex(({ family, address }) => family === set.family && rangeFor(set, address))
    if (at < 0) return undefined
    const [request] = requests.splice(at, 1)
    const { family, address } = request!
    if (set.ranges.some(({ gateway }) => gateway === address)) throw refuse(request!, 'is the gateway')
    if (set.holes.some(hole => contains(hole, address))) throw refuse(request!, 'is excluded')
    return textOf(family, address)
  })
  const [left] = requests
  if (left === undefined) return assigned
  const ranges = sets.filter(({ family }) => family === left.family).flatMap(set => set.ranges).map(describe).join(', ')
  const which = ranges || 'of the other family'
  throw refuse(left, `is in no range, or its range set gives another one already; the ranges are ${which}`)
}
