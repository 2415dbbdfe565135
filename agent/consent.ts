// Waiting for the host of a block to agree to an address of it.
import { setTimeout } from 'node:timers/promises'
import type { Holder } from '#cni/cluster/agent-socket.ts'
import type { Member } from './member.ts'
import { OverlayError } from './overlay-error.ts'
import { claimStatic, releaseStatic } from './statics.ts'

/** How long it has, in milliseconds. */
const CONSENT = 5000

/** Claims one address for a container. @throws OverlayError as claimStatic, `taken` also when the host is silent */
export const claimWithConsent = async (member: Member, network: string, ip: string, holder: Holder): Promise<void> => {
  const start = performance.now()
  for (let pause = 20; !(await claimStatic(member, network, ip, holder)).granted; pause = Math.min(2 * pause, 200)) {
    if (performance.now() - start > CONSENT) {
      await releaseStatic(member, network, ip)
      throw new OverlayError('taken', `the host in whose block ${ip} of network ${network} lies does not answer`,
        'see `fairlead host list`')
    }
    await setTimeout(pause)
  }
}
