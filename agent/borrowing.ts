// Single addresses out of the blocks of other hosts, for a pool whose blocks all have owners.
import { countIn, nthIn } from '#cni/address-range.ts'
import type { Holder } from '#cni/cluster/agent-socket.ts'
import { familyOf, textOf } from '#netlink/ip.ts'
import { claimWithConsent } from './consent.ts'
import { staticKey } from './layout.ts'
import type { Member } from './member.ts'
import { viewNetwork, type NetworkView } from './network-view.ts'
import { OverlayError } from './overlay-error.ts'
import { isBlockOf, usableIn, type Range } from './range.ts'
import { ownerOf } from './records.ts'

/** How many addresses are asked for, and for how long in milliseconds: the plugin waits for half a minute. */
const [ENOUGH, PATIENCE] = [50, 15_000]

/** Numbers of JavaScript are exact up to here, and no block is as large. */
const MOST = 2n ** 48n
/** Up to here all addresses of a block are tried, each once. */
const FEW = 4096

const below = (count: number): number => Math.floor(Math.random() * count)

/** Numbers below `count` in random order; of many some, which may come again. */
function* shuffled(count: number): Generator<number> {
  if (count > FEW) {
    for (let i = 0; i < ENOUGH; i++) yield below(count)
    return
  }
  const all = Array.from({ length: count }, (_, i) => i)
  while (all.length > 0) yield all.splice(below(all.length), 1)[0]!
}

/** The addresses of a block in random order. */
function* addressesOf(range: Range, block: string): Generator<string> {
  const intervals = usableIn(range, block)
  const all = countIn(intervals)
  for (const index of shuffled(Number(all > MOST ? MOST : all)))
    yield textOf(familyOf(block), nthIn(intervals, BigInt(index)))
}

/** Addresses of blocks of hosts that are there to agree: one of each block in turn. */
function* candidates(
  { name, blocks, statics }: NetworkView, range: Range, isLender: (host: string) => boolean,
): Generator<string> {
  const open = [...blocks].filter(([block, entry]) => isBlockOf(range, block) && isLender(ownerOf(entry) ?? ''))
    .map(([block]) => ({ at: Math.random(), addresses: addressesOf(range, block) })).sort((a, b) => a.at - b.at)
  while (open.length > 0) {
    const { addresses } = open[0]!
    const { value } = addresses.next()
    open.push(...open.splice(0, 1))
    if (value === undefined) open.pop()
    else if (!statics.has(staticKey(name, value))) yield value
  }
}

/**
 * Claims an address that its host has not handed out, which takes asking: only it knows.
 * @param isAlive whether a host can be asked
 * @throws OverlayError `exhausted`; otherwise as claimStatic
 */
export const borrow = async (
  member: Member, network: string, range: Range, holder: Holder, isAlive: (host: string) => boolean,
): Promise<string> => {
  const start = performance.now()
  const view = await viewNetwork(member, network)
  let asked = 0
  const isLate = (): boolean => performance.now() - start > PATIENCE
  for (const ip of candidates(view, range, host => host !== member.host && isAlive(host))) {
    if (asked === ENOUGH || isLate()) break
    asked++
    try {
      await claimWithConsent(member, network, ip, holder)
      return ip
    } catch (error) {
      if (!(error instanceof OverlayError) || error.obstacle !== 'taken') throw error
    }
  }
  throw new OverlayError('exhausted', `every block of ${range.subnet} of network ${network} has an owner, ` +
    (asked === 0 ? 'and there is no other host to ask for an address' : `and of ${asked} addresses none is free`) +
    (isLate() ? `, as far as was found out in ${PATIENCE / 1000} s` : ''),
  'remove containers, or hosts that are gone (`fairlead host list`)')
}
