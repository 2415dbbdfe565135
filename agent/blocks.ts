// Blocks of addresses: a block belongs to the host whose name its key holds, and to nobody when there is no key.
//
// A host uses a block only if its memory has it. The memory learns of a block after the store has said yes, and forgets
// it before the store is asked to take it back; so whenever the agent dies, what is in its memory is its own. A change
// whose answer was lost may still be carried out later: a block is taken up again only by writing its key anew, which
// makes an earlier removal of it fail.
import { blockKey, settledKey } from './layout.ts'
import type { Member } from './member.ts'
import type { NetworkConfig } from './network.ts'
import { rangesFor } from './network-plan.ts'
import { viewNetwork, type NetworkView } from './network-view.ts'
import { OverlayError, Unsettled } from './overlay-error.ts'
import { blockAround, freeBlocks, isBlockOf, type Range } from './range.ts'
import { ownerOf, recordOf, written, type BlockRecord, type StaticRecord } from './records.ts'
import { get } from './store/lookup.ts'
import type { Entry } from './store/store.ts'
import { absent, holding, put, remove, unchanged, type Condition } from './store/transaction.ts'

const withBlock = (blocks: readonly string[], block: string): readonly string[] =>
  [...new Set([...blocks, block])].sort()

/** How many blocks are tried before the store is asked again. */
const MANY = 1000

type Claim = 'ours' | 'taken' | 'network changed' | 'unsettled'

/**
 * Tries to get one block: a free one, or one whose key names this host already.
 * @param now what its key holds as far as is known
 */
const tryClaim = async (
  member: Member, network: NetworkView, block: string, now: Entry | undefined, further: readonly Condition[],
): Promise<Claim> => {
  const key = blockKey(network.name, block)
  if (now !== undefined && ownerOf(now) !== member.host) return 'taken'
  const value = written({ host: member.host, block } satisfies BlockRecord)
  const outcome = await member.store.commit(
    [...member.conditions, unchanged(network.entry), now === undefined ? absent(key) : unchanged(now), ...further],
    [put(key, value)],
  )
  if (outcome.succeeded) return 'ours'
  member.requireStanding(outcome)
  const { current } = outcome
  if (current.get(network.entry.key)?.revision !== network.entry.revision) return 'network changed'
  const found = current.get(key)
  if (ownerOf(found) === member.host) return await tryClaim(member, network, block, found, further)
  // Nobody has it, and yet it could not be had: it was this host's a moment ago, or the cluster is not settled.
  return found === undefined && now === undefined ? 'unsettled' : 'taken'
}

/** What has to be done about a block that is this host's before an address of it is handed out. */
export type Preparation = (block: string) => Promise<void>

interface Options { readonly wanted?: string; readonly view?: NetworkView; readonly prepare?: Preparation }

function* chained<T>(first: Iterable<T>, second: Iterable<T>): Generator<T> {
  yield* first
  yield* second
}

const claim = async (
  member: Member, name: string, range: Range, { wanted, view, prepare }: Options = {},
): Promise<string> => {
  const network = view ?? await viewNetwork(member, name)
  const owners = network.blocks
  const known = member.share(name)?.blocks ?? []
  const own = [...owners].filter(([block, now]) => isBlockOf(range, block) && ownerOf(now) === member.host)
    .map(([block]) => block).filter(block => !known.includes(block))
  const free = freeBlocks(range, block => owners.has(block) || known.includes(block)).take(MANY)
  const afresh = { ...wanted === undefined ? {} : { wanted }, ...prepare === undefined ? {} : { prepare } }
  let tried = 0
  for (const block of wanted === undefined ? chained(own, free) : [wanted]) {
    tried++
    const settled = owners.has(block) ? [] : [holding(settledKey, member.cluster)]
    const result = await tryClaim(member, network, block, owners.get(block), settled)
    if (result === 'ours') {
      await prepare?.(block)
      member.rememberShare(name, network.config, share => ({ ...share, blocks: withBlock(share.blocks, block) }))
      return block
    }
    if (result === 'network changed') return await claim(member, name, range, afresh)
    if (result === 'unsettled') throw new Unsettled()
  }
  if (wanted !== undefined) throw new OverlayError('taken', `block ${wanted} of network ${name} is another host's`)
  if (view !== undefined || tried >= MANY) return await claim(member, name, range, afresh)
  throw new OverlayError('exhausted', `every block of ${range.subnet} of network ${name} has an owner`,
    'remove hosts that are gone, or make a network with a larger subnet')
}

/**
 * Gets a further block of a range: one that the store says is this host's and its memory does not know, after a crash;
 * otherwise a free one.
 * @param options `wanted`: this block and no other. `view`: what is known of the network, which spares asking; it may
 * be out of date. `prepare`: done before the memory has the block.
 * @throws OverlayError `exhausted`, `unsettled`, `no-network`, `removed`, `foreign-cluster`, with `wanted` also `taken`
 * @throws StoreError when it is `unknown`, calling again finds what became of it
 */
export const claimBlock = (member: Member, name: string, range: Range, options: Options = {}): Promise<string> =>
  member.inTurn(() => claim(member, name, range, options))

export const isExhausted = (error: unknown): boolean =>
  error instanceof OverlayError && error.obstacle === 'exhausted'

interface Needs {
  /** Throws when this host can have no part in a network of this kind: then nothing is claimed. */
  readonly approve?: (config: NetworkConfig) => void
  readonly prepare?: Preparation | undefined
  /** What this host does not hand out of a pool. */
  readonly exclude?: readonly string[] | undefined
}

/**
 * Gets at least one block of every range of a network. A pool may have none left: then there are single addresses.
 * @throws as claimBlock
 */
export const ensureBlocks = (
  member: Member, name: string, { approve, prepare, exclude }: Needs = {},
): Promise<readonly string[]> => member.inTurn(async () => {
  const view = await viewNetwork(member, name)
  approve?.(view.config)
  const isPool = view.config.addressing === 'pool'
  if (isPool && member.share(name) === undefined) member.rememberShare(name, view.config, share => share)
  for (const range of rangesFor(view.config, exclude)) {
    const blocks = member.share(name)?.blocks ?? []
    if (blocks.some(block => isBlockOf(range, block))) continue
    try {
      await claim(member, name, range, { view, ...prepare === undefined ? {} : { prepare } })
    } catch (error) {
      if (!isPool || !isExhausted(error)) throw error
    }
  }
  return member.share(name)!.blocks
})

/**
 * Gives a block back that no container uses any more. When the store cannot be reached now, joining again finds it.
 * @throws StoreError
 */
export const releaseBlock = (
  member: Member, name: string, block: string,
): Promise<void> => member.inTurn(async () => {
  const share = member.share(name)
  if (share === undefined || !share.blocks.includes(block)) return
  member.rememberShare(name, share.config, ({ blocks, ...rest }) =>
    ({ ...rest, blocks: blocks.filter(other => other !== block) }))
  const now = await get(member.store, blockKey(name, block))
  if (now !== undefined && ownerOf(now) === member.host) await member.store.commit([unchanged(now)], [remove(now.key)])
})

const reclaim = async (member: Member, name: string): Promise<readonly string[]> => {
  const network = await viewNetwork(member, name)
  const owners = network.blocks
  const known = member.share(name)?.blocks ?? []
  // A block in which others have addresses has to be prepared first: claiming finds it.
  const shared = new Set([...network.statics.values()].filter(entry => ownerOf(entry) !== member.host)
    .map(entry => blockAround(network.config, recordOf<StaticRecord>(entry).ip)))
  const inStore = [...owners].filter(([block, now]) => ownerOf(now) === member.host && !shared.has(block))
    .map(([block]) => block)
  const lost: string[] = []
  const ours: string[] = []
  for (const block of new Set([...known, ...inStore])) {
    const now = owners.get(block)
    const safe = known.includes(block) && ownerOf(now) === member.host
    const result = safe ? 'ours' : await tryClaim(member, network, block, now, [])
    if (result === 'network changed') return await reclaim(member, name)
    if (result === 'ours') ours.push(block)
    else if (known.includes(block)) lost.push(block)
  }
  if (ours.length + lost.length > 0 || member.share(name) !== undefined) {
    member.rememberShare(name, network.config, share => {
      const gone = new Set([...share.lost, ...lost])
      return { ...share, blocks: ours.sort(), lost: [...gone].filter(block => !ours.includes(block)) }
    })
  }
  return lost
}

/**
 * Brings memory and store together after a restart of either: what the memory has is claimed again if the store has
 * lost it, what another host has meanwhile is lost, and what only the store knows of is taken up.
 * @returns the blocks that were lost
 * @throws as claimBlock
 */
export const reclaimBlocks = (member: Member, name: string): Promise<readonly string[]> =>
  member.inTurn(() => reclaim(member, name))
