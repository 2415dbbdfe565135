// More addresses for a host whose blocks are full: another block, or single addresses.
import type { Answer, Request } from '#cni/cluster/agent-socket.ts'
import { readRunFile } from '#cni/cluster/run-file.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import { claimBlock, isExhausted, type Preparation } from './blocks.ts'
import { borrow } from './borrowing.ts'
import { blockKey } from './layout.ts'
import type { Member } from './member.ts'
import { rangesFor } from './network-plan.ts'
import { viewNetwork, type NetworkView } from './network-view.ts'
import type { OverlayHost } from './overlay-host.ts'
import { freeBlocks, type Range } from './range.ts'
import { releaseStatic, staticsWithin } from './statics.ts'

type Growth = Extract<Request, { readonly op: 'grow' }>

/** Keeps addresses that containers of other hosts have from being handed out here. @returns them */
export const reserve = async (
  here: OverlayHost, member: Member, network: string, blocks: readonly string[],
): Promise<readonly string[]> => {
  const records = here.records(network)
  const guests = (await staticsWithin(member, network, ...blocks)).filter(({ host }) => host !== member.host)
  for (const { ip, host, container, ifname } of guests) records.keepFor(ip, host, container, ifname)
  records.found()
  return guests.map(({ ip }) => ip)
}

/** Has a block that nobody had before prepared for its first address. */
export const preparation = (here: OverlayHost, member: Member, network: string): Preparation =>
  async block => { await reserve(here, member, network, [block]) }

const claimOf = async (
  here: OverlayHost, member: Member, view: NetworkView, ranges: readonly Range[],
): Promise<void> => {
  for (const [i, range] of ranges.entries()) {
    try {
      await claimBlock(member, view.name, range, { view, prepare: preparation(here, member, view.name) })
      return
    } catch (error) {
      if (!isExhausted(error) || i === ranges.length - 1) throw error
    }
  }
}

/** When the search for a single address was last in vain, by network, in milliseconds. */
const fruitless = new Map<string, number>()

/** A single address of a pool. @throws OverlayError `exhausted` */
const lent = async (
  here: OverlayHost, member: Member, { network, container, ifname }: Growth, range: Range,
): Promise<string> => {
  try {
    const holder = { container: container!, ifname: ifname! }
    const ip = await borrow(member, network, range, holder, host => here.picture.attended.has(host))
    fruitless.delete(network)
    return ip
  } catch (error) {
    if (isExhausted(error)) fruitless.set(network, performance.now())
    throw error
  }
}

/** A block of a family, or single addresses, which it returns. */
const more = async (
  here: OverlayHost, member: Member, request: Growth, family: Family,
): Promise<readonly string[]> => {
  const { network, exclude, container } = request
  const view = await viewNetwork(member, network)
  const ranges = rangesFor(view.config, exclude).filter(({ subnet }) => familyOf(subnet) === family)
  try {
    await claimOf(here, member, view, ranges)
    return []
  } catch (error) {
    const isLendable = view.config.addressing === 'pool' && container !== undefined
    if (!isLendable || !isExhausted(error)) throw error
    return [await lent(here, member, request, ranges[0]!)]
  }
}

/** Gets something for the families of which there is no address left. */
export const grow = async (here: OverlayHost, member: Member, request: Growth): Promise<Answer> => {
  const { network, exclude } = request
  const run = readRunFile(here.settings.runDirectory, network)
  const full = run === undefined ? [] : here.records(network).exhausted(run, exclude)
    .filter(family => request.claimed?.some(ip => familyOf(ip) === family) !== true)
  const borrowed: string[] = []
  try {
    for (const family of full) borrowed.push(...await more(here, member, request, family))
  } catch (error) {
    // Of no use without those of the other family, and nobody was told of them.
    for (const ip of borrowed) await releaseStatic(member, network, ip)
    throw error
  }
  here.unheard(() => here.sync(network))
  return { ok: true, borrowed }
}

/** How long a search in vain speaks for the present, in milliseconds. */
const MEMORABLE = 60_000

/** Why there is nothing more of a network, as far as is known; undefined when asking may help. */
export const shortage = (here: OverlayHost, network: string, exclude: readonly string[] = []): string | undefined => {
  const run = readRunFile(here.settings.runDirectory, network)
  const picture = here.picture.networks.get(network)
  if (run === undefined || picture?.config === undefined) return undefined
  const { config } = picture
  const isOwned = (block: string): boolean => picture.ownerOf(blockKey(network, block)) !== undefined
  const others = [...picture.hosts].filter(host => host !== here.settings.hostId && here.picture.attended.has(host))
  const inVain = performance.now() - (fruitless.get(network) ?? -Infinity) < MEMORABLE
  const isLendable = config.addressing === 'pool' && others.length > 0 && !inVain
  const full = here.records(network).exhausted(run, exclude).find(family => {
    const ranges = rangesFor(config, exclude).filter(({ subnet }) => familyOf(subnet) === family)
    return ranges.every(range => freeBlocks(range, isOwned).next().done === true)
  })
  return full === undefined || isLendable ? undefined : `every block of network ${network} has an owner and is full`
}
