// Single addresses that nobody uses any more: DEL works without an agent, so the agent has to look.
import type { Member } from './member.ts'
import { OverlayError } from './overlay-error.ts'
import type { OverlayHost } from './overlay-host.ts'
import type { StaticRecord } from './records.ts'
import { claimStatic, releaseStatic } from './statics.ts'

/** How long an address may be claimed and not in use: an ADD is between the two. In milliseconds. */
const GRACE = 60_000

/** When an address was first seen claimed and not in use, by network and address. */
const unused = new Map<string, number>()

/**
 * Gives back what was claimed for a container, unless the container has it: an ADD may have failed because there was
 * one before.
 * @throws StoreError
 */
export const giveBack = (
  here: OverlayHost, member: Member, network: string, { ip, container, ifname }: StaticRecord,
): Promise<void> => {
  const records = here.records(network)
  // An ADD that records the address later finds the file without it.
  return releaseStatic(member, network, ip, forget => records.alone(() => {
    if (records.holds(ip, container, ifname)) return
    forget()
    here.write(network)
  }))
}

/** What a container still has that was claimed anew, after this host was removed: the host of the block decides. */
const claimAgain = async (
  here: OverlayHost, member: Member, network: string, { ip, container, ifname }: StaticRecord,
): Promise<void> => {
  try {
    await claimStatic(member, network, ip, { container, ifname })
  } catch (error) {
    if (!(error instanceof OverlayError) || error.obstacle !== 'taken') throw error
    here.say(`network ${network}: container ${container} has ${ip}, which others have got since this host was removed`)
  }
  here.write(network)
}

/** Gives back what has been claimed for containers that are gone. @throws StoreError */
export const releaseUnused = async (here: OverlayHost, member: Member): Promise<void> => {
  const now = performance.now()
  for (const [network, { statics }] of Object.entries(member.memory.shares)) {
    const records = here.records(network)
    for (const record of statics) {
      const { ip, container, ifname } = record
      const key = `${network} ${ip}`
      if (records.holds(ip, container, ifname)) {
        unused.delete(key)
        if (!record.granted) await claimAgain(here, member, network, record)
        continue
      }
      const since = unused.get(key) ?? now
      unused.set(key, since)
      if (now - since < GRACE) continue
      await giveBack(here, member, network, record)
      unused.delete(key)
    }
  }
}
