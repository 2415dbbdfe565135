// What the plugin asks the agent for, and what an agent does about the statics of its networks.
import { setTimeout } from 'node:timers/promises'
import type { Answer, Request } from '#cni/cluster/agent-socket.ts'
import { isObject } from '#cni/json.ts'
import { ensureBlocks, releaseBlock } from './blocks.ts'
import { claimWithConsent } from './consent.ts'
import { collectSoon } from './garbage.ts'
import { grow, preparation, reserve, shortage } from './growth.ts'
import { isNetworkName, settledKey } from './layout.ts'
import type { Member } from './member.ts'
import { withShare } from './memory.ts'
import { publish } from './membership.ts'
import { createNetwork, isEncrypted, type NetworkConfig, type NetworkWish } from './network.ts'
import { OverlayError } from './overlay-error.ts'
import type { OverlayHost } from './overlay-host.ts'
import type { Settings } from './settings.ts'
import { isLocal } from './store-choice.ts'
import { chooseSubnet } from './subnet-choice.ts'
import { answerStatics, releaseStatic } from './statics.ts'
import { giveBack } from './statics-upkeep.ts'
import { blockOf } from './range.ts'
import { get } from './store/lookup.ts'
import { StoreError } from './store/store-error.ts'

type Of<Op extends Request['op']> = Extract<Request, { readonly op: Op }>

const done: Answer = { ok: true }

/** Makes a network that is missing; on one machine, where nobody else has a say, of any subnet. */
const make = async (here: OverlayHost, { store }: Member, { network, config }: Of<'join'>): Promise<void> => {
  if (config !== undefined && !(isObject(config) && Array.isArray(config['ranges'])))
    throw new OverlayError('invalid', `network ${network}: ranges ${JSON.stringify(config)} is no list`)
  const wish = config as NetworkWish | undefined
  try {
    await createNetwork(store, network, wish ?? { ranges: [{ subnet: await chooseSubnet(store, here.host) }] })
  } catch (error) {
    // Another one was faster.
    if (!(error instanceof OverlayError) || !error.message.endsWith(`network ${network} exists`)) throw error
  }
}

/**
 * Whether this host can have a part in a network. One that holds the host's own address would take its packets, the
 * tunnel's among them.
 * @throws OverlayError `invalid`, `unsupported`
 */
const requireFit = (here: OverlayHost, network: string, config: NetworkConfig): void => {
  here.approve(network, config)
  const { vtep } = here.underlay
  const taken = config.ranges.find(range => blockOf(range, vtep) !== undefined)
  if (taken === undefined || config.addressing === 'pool') return
  throw new OverlayError('invalid',
    `network ${network} has ${taken.subnet}, which this host's own address ${vtep} is of`,
    'make it again with another subnet')
}

/** Whether a network that does not exist comes into being by itself. @throws OverlayError `no-network` */
export const requireLocal = (settings: Settings, network: string): void => {
  if (isLocal(settings)) return
  throw new OverlayError('no-network', `there is no network ${network} in the store`,
    `make it: \`fairlead overlay create ${network}\`, or say with "ranges" what it is made with`)
}

const join = async (here: OverlayHost, member: Member, request: Of<'join'>): Promise<Answer> => {
  const { network, config, exclude } = request
  for (;;) {
    try {
      await ensureBlocks(member, network, {
        approve: found => { requireFit(here, network, found) }, exclude, prepare: preparation(here, member, network),
      })
      if (here.records(network).areLost(member.share(network)!)) await tendStatics(here, member, network)
      // The others need the key before packets of this network can come.
      if (isEncrypted(member.share(network)!.config)) await publish(member, here.facts)
      here.unheard(() => here.sync(network, true))
      return done
    } catch (error) {
      const isMissing = error instanceof OverlayError && error.obstacle === 'no-network'
      if (!isMissing || config === undefined && !isLocal(here.settings)) throw error
      here.approve(network, config as NetworkWish | undefined ?? {})
      await make(here, member, request)
    }
  }
}

const claim = async (here: OverlayHost, member: Member, request: Of<'static'>): Promise<Answer> => {
  const { network, ip, container, ifname } = request
  await claimWithConsent(member, network, ip, { container, ifname })
  here.write(network)
  return done
}

const release = async (here: OverlayHost, member: Member, request: Of<'release'>): Promise<Answer> => {
  const { network, container, ifname } = request
  const own = member.share(network)?.statics.filter(one => one.container === container && one.ifname === ifname) ?? []
  for (const record of own) await giveBack(here, member, network, record)
  return done
}

/** Gives back what this host has of a network. @throws OverlayError `taken` when a container uses it */
export const leave = async (here: OverlayHost, member: Member, network: string): Promise<void> => {
  const share = member.share(network)
  if (share === undefined) return
  const records = here.records(network)
  records.alone(() => {
    if (!records.isIdle) throw new OverlayError('taken', `network ${network} has containers on this host`)
    here.files.withdraw(network)
  })
  for (const block of share.blocks) await releaseBlock(member, network, block)
  for (const { ip } of share.statics) await releaseStatic(member, network, ip)
  member.remember(memory => withShare(memory, network, undefined))
  here.unheard(() => { here.remove(network, share) })
}

/**
 * Answers the hosts that want addresses of our blocks for their containers, and frees those that they have given back.
 * @throws OverlayError, StoreError
 */
export const tendStatics = (
  here: OverlayHost, member: Member, network: string,
): Promise<void> => member.inTurn(async () => {
  // In turn: an address that is being reserved in a block that is being claimed must not be taken for a stale one.
  const share = member.share(network)
  if (share === undefined || share.config.addressing === 'hostSubnet') return
  const records = here.records(network)
  await answerStatics(member, network, ({ ip, host, container, ifname }) =>
    records.keepFor(ip, host, container, ifname, () => here.write(network, [ip])))
  const guests = new Set(await reserve(here, member, network, share.blocks))
  // A store that was wiped does not know of all that containers have.
  const settled = await get(member.store, settledKey)
  if (settled?.value === member.cluster) records.freeGuests(guests)
  here.write(network)
})

/** An agent joins within moments of its start, and whoever has started it asks at once. In milliseconds. */
const [JUST_STARTED, LOOK_EVERY] = [5000, 20]

/** Whether a host that is not in the cluster could do what it is asked. */
const requireMember = async (here: OverlayHost, why: () => string | undefined): Promise<Member> => {
  while (here.member === undefined && here.drained === undefined && 1000 * process.uptime() < JUST_STARTED)
    await setTimeout(LOOK_EVERY)
  const { member, drained } = here
  if (member !== undefined) return member
  if (drained !== undefined) throw new OverlayError('removed', drained, 'restart the agent to have the host join again')
  throw new StoreError('unreachable', why() ?? 'this host has not joined its cluster yet')
}

const status = (
  here: OverlayHost, { network, exclude }: Of<'status'>, obstacle: string | undefined,
): Answer => ({
  ok: true, host: here.settings.hostId, vtep: here.underlay.vtep, hosts: here.picture.hostCount,
  networks: Object.keys(here.shares), troubles: here.networks.troubles,
  checksumOffload: here.checksums.isOff ? 'off' : 'on',
  ...obstacle === undefined ? {} : { obstacle },
  ...network === undefined ? {} : { shortage: shortage(here, network, exclude) },
})

/**
 * Does what a request asks for.
 * @param obstacle why the store is not to be had, if it is not
 * @returns the answer; failures are answers, too
 */
export const answerTo = async (
  here: OverlayHost, request: Request, obstacle: () => string | undefined,
): Promise<Answer> => {
  try {
    if (request.op === 'status') {
      const { network = '' } = request
      const config = here.picture.networks.get(network)?.config
      if (config !== undefined) requireFit(here, network, config)
      else if (request.canMake === false && here.picture.isComplete) requireLocal(here.settings, network)
      return status(here, request, here.drained ?? obstacle())
    }
    const { network } = request
    if (!isNetworkName(network)) throw new OverlayError('invalid', `network ${JSON.stringify(network)} is no name`)
    collectSoon()
    const member = await requireMember(here, obstacle)
    switch (request.op) {
      case 'join': return await join(here, member, request)
      case 'grow': return await grow(here, member, request)
      case 'static': return await claim(here, member, request)
      case 'release': return await release(here, member, request)
      case 'leave': return await leave(here, member, request.network).then(() => done)
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (error instanceof OverlayError) return { ok: false, obstacle: error.obstacle, message, advice: error.advice }
    if (error instanceof StoreError)
      return { ok: false, obstacle: 'unreachable', message, advice: 'see that the store runs and this host reaches it' }
    return { ok: false, obstacle: 'internal', message, advice: 'see the agent\'s log' }
  }
}
