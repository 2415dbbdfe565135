// Addresses that a container asks for by name, in flat networks: one key each, wherever the address lies. Inside
// another host's block that host has to agree, because it may have handed the address out without telling anybody.
import { blockKey, isKeyOfStatic, settledKey, staticKey } from './layout.ts'
import type { Member } from './member.ts'
import type { NetworkConfig } from './network.ts'
import { viewNetwork, type NetworkView } from './network-view.ts'
import { OverlayError, Unsettled } from './overlay-error.ts'
import { blockAround } from './range.ts'
import { ownerOf, recordOf, written, type StaticRecord } from './records.ts'
import { get } from './store/lookup.ts'
import type { Entry } from './store/store.ts'
import { absent, holding, put, remove, unchanged } from './store/transaction.ts'

type Holder = Pick<StaticRecord, 'container' | 'ifname'>

const isSame = (record: Partial<StaticRecord>, host: string, { container, ifname }: Holder): boolean =>
  record.host === host && record.container === container && record.ifname === ifname

const keep = (member: Member, network: string, config: NetworkConfig, record: StaticRecord): void => {
  member.rememberShare(network, config, share =>
    ({ ...share, statics: [...share.statics.filter(({ ip }) => ip !== record.ip), record] }))
}

const forget = (member: Member, network: string, ip: string): void => {
  const share = member.share(network)
  if (share === undefined) return
  member.rememberShare(network, share.config, ({ statics, ...rest }) =>
    ({ ...rest, statics: statics.filter(record => record.ip !== ip) }))
}

const requireBlock = (config: NetworkConfig, network: string, ip: string): string => {
  const block = blockAround(config, ip)
  if (block !== undefined) return block
  const subnets = config.ranges.map(({ subnet }) => subnet).join(', ')
  throw new OverlayError('invalid', `address ${ip} is not in ${subnets} of network ${network}`)
}

/** Whether the host that had been asked for an address has said no: it removes the key. @throws OverlayError */
const requireNoRefusal = (member: Member, network: string, ip: string): void => {
  const share = member.share(network)
  if (share === undefined || share.statics.every(record => record.ip !== ip || record.granted)) return
  forget(member, network, ip)
  throw new OverlayError('taken', `address ${ip} of network ${network} belongs to a container on the host of its block`)
}

/** How often what a claim relies on may change meanwhile; what no agent would write makes it fail for ever. */
const ATTEMPTS = 50

/** The statics of a network that are what their keys say. */
const soundIn = ({ name, statics }: NetworkView): readonly (readonly [Entry, StaticRecord])[] =>
  [...statics.values()].map(entry => [entry, recordOf<StaticRecord>(entry) as StaticRecord] as const)
    .filter(([{ key }, { ip }]) => isKeyOfStatic(key, name, ip))

const claim = async (
  member: Member, network: string, ip: string, holder: Holder, attempt = 1,
): Promise<StaticRecord> => {
  if (attempt > ATTEMPTS)
    throw new OverlayError('taken', `address ${ip} of network ${network}, or its block, has a key that nobody reads`)
  const { entry, config, blocks, statics } = await viewNetwork(member, network)
  const wanted = requireBlock(config, network, ip)
  const [key, block] = [staticKey(network, ip), blockKey(network, wanted)]
  const [now, around] = [statics.get(key), blocks.get(wanted)]
  const before = now && recordOf<StaticRecord>(now)
  if (before !== undefined && !isSame(before, member.host, holder))
    throw new OverlayError('taken',
      `address ${ip} of network ${network} belongs to ${before.container} on ${before.host}`)
  if (before === undefined) requireNoRefusal(member, network, ip)
  const granted = before?.granted ?? (around === undefined || ownerOf(around) === member.host)
  const record = { host: member.host, ip, ...holder, granted }
  // A key that is there already is written anew all the same: an earlier removal of it may still be on its way.
  const outcome = await member.store.commit([
    ...member.conditions, holding(settledKey, member.cluster), unchanged(entry),
    now === undefined ? absent(key) : unchanged(now), around === undefined ? absent(block) : unchanged(around),
  ], [put(key, written(record))])
  member.requireStanding(outcome)
  if (outcome.succeeded) {
    keep(member, network, config, record)
    return record
  }
  if (outcome.current.get(settledKey)?.value !== member.cluster)
    throw new Unsettled()
  return await claim(member, network, ip, holder, attempt + 1)
}

/**
 * Claims one address for a container. May be repeated: the same container gets the same answer.
 * @returns the record; as long as it is not `granted`, the host of the block it lies in has not agreed: ask again
 * @throws OverlayError `taken`, `invalid`, `unsettled`, `no-network`, `removed`, `foreign-cluster`; StoreError
 */
export const claimStatic = (
  member: Member, network: string, ip: string, holder: Holder,
): Promise<StaticRecord> => member.inTurn(() => claim(member, network, ip, holder))

/**
 * Gives an address back.
 * @param giveUp calls `forget`, after which nobody here is given the address, or does not when it is in use
 * @throws StoreError
 */
export const releaseStatic = (
  member: Member, network: string, ip: string, giveUp = (forget: () => void): void => { forget() },
): Promise<void> => member.inTurn(async () => {
  let isGivenUp = false
  giveUp(() => {
    forget(member, network, ip)
    isGivenUp = true
  })
  // The host of its block may be about to agree: then the key is another one than a moment ago.
  for (let isGone = !isGivenUp; !isGone;) {
    const now = await get(member.store, staticKey(network, ip))
    isGone = now === undefined || ownerOf(now) !== member.host ||
      (await member.store.commit([unchanged(now)], [remove(now.key)])).succeeded
  }
})

/** The static addresses inside blocks, of all hosts: whoever owns a block must not hand them out. */
export const staticsWithin = async (
  member: Member, network: string, ...wanted: readonly string[]
): Promise<readonly StaticRecord[]> => {
  const view = await viewNetwork(member, network)
  const { config } = view
  return soundIn(view).map(([, record]) => record)
    .filter(({ ip }) => wanted.includes(blockAround(config, ip) ?? ''))
}

/**
 * Answers hosts that ask for addresses in this host's blocks.
 * @param reserve keeps an address from being handed out here; false when a container has it. Called again for an
 * address that it has reserved, it says true.
 * @throws OverlayError, StoreError
 */
export const answerStatics = async (
  member: Member, network: string, reserve: (record: StaticRecord) => boolean,
): Promise<void> => {
  const view = await viewNetwork(member, network)
  const { config } = view
  const blocks = member.share(network)?.blocks ?? []
  for (const [entry, record] of soundIn(view)) {
    const block = blockAround(config, record.ip)
    if (record.granted !== false || block === undefined || !blocks.includes(block)) continue
    const answer = reserve(record) ? put(entry.key, written({ ...record, granted: true })) : remove(entry.key)
    member.requireStanding(await member.store.commit([...member.conditions, unchanged(entry)], [answer]))
  }
}

/**
 * Brings memory and store together: what the memory has and the store has lost is written again, what only the store
 * has was never handed out and is given back.
 * @throws OverlayError, StoreError
 */
export const reclaimStatics = (member: Member, network: string): Promise<void> => member.inTurn(async () => {
  const share = member.share(network)
  const { config, blocks, statics: found } = await viewNetwork(member, network)
  const kept: StaticRecord[] = []
  for (const known of share?.statics ?? []) {
    const key = staticKey(network, known.ip)
    const now = found.get(key)
    // A host that was removed has lost it: whoever has the block may have handed it out since.
    const owner = ownerOf(blocks.get(blockAround(config, known.ip) ?? '')) ?? member.host
    const record = { ...known, granted: known.granted && owner === member.host }
    const outcome = now === undefined
      ? await member.store.commit([...member.conditions, absent(key)], [put(key, written(record))])
      : undefined
    if (outcome) member.requireStanding(outcome)
    const entry = outcome?.succeeded === false ? outcome.current.get(key) : now
    if (entry === undefined) kept.push(record)
    else if (isSame(recordOf(entry), member.host, record)) kept.push(recordOf<StaticRecord>(entry) as StaticRecord)
  }
  if (share !== undefined) member.rememberShare(network, share.config, before => ({ ...before, statics: kept }))
  const known = new Set(kept.map(({ ip }) => staticKey(network, ip)))
  const unknown = [...found.values()].filter(entry => ownerOf(entry) === member.host && !known.has(entry.key))
  for (const entry of unknown) await member.store.commit([unchanged(entry)], [remove(entry.key)])
})
