// Addresses for one attachment, from the blocks of this host or claimed one by one.
import type { Add } from '#cni/driver.ts'
import { CniError, codes } from '#cni/errors.ts'
import { requestedIps } from '#cni/requested-ips.ts'
import type { Result } from '#cni/result.ts'
import { foreignTo, hostLocalConfig, isOurs } from './addresses.ts'
import { current, joined, request, type Asker, type Config } from './part.ts'
import type { RunFile } from './run-file.ts'

type Subject = Pick<Add<Config>, 'config' | 'network' | 'containerId' | 'ifName' | 'args' | 'delegate' | 'undo'>

export interface Leased { readonly run: RunFile; readonly leased: Result }

/** Claims the addresses that are in no block of this host. */
const claimForeign = (call: Subject, run: RunFile): readonly string[] => {
  const { network, containerId: container, ifName: ifname } = call
  const foreign = foreignTo(run, requestedIps(call.config, call.args))
  if (foreign.length > 0) call.undo('claimed address', () => giveBack(call))
  for (const ip of foreign) request(call, { op: 'static', network, ip, container, ifname })
  return foreign
}

/** Gives back what was claimed for an attachment. The agent finds out by itself, too, only later. */
export const giveBack = (call: Asker & Pick<Subject, 'network' | 'containerId' | 'ifName'>): void => {
  const { network, containerId: container, ifName: ifname } = call
  request(call, { op: 'release', network, container, ifname })
}

const isFull = (error: unknown): boolean => error instanceof CniError && error.code === codes.outOfAddresses

/** How often the blocks of this host may change under our hands. */
const ATTEMPTS = 5

/**
 * Leases an address of every family, to be given back if something fails later. A host whose blocks are full gets
 * another one.
 * @throws CniError 101 when there is no address, 11 when the agent has to be asked and cannot be
 */
export const lease = (call: Subject): Leased => {
  let run = joined(call)
  const foreign = claimForeign(call, run)
  const isAsked = requestedIps(call.config, call.args).length > 0
  for (let attempt = 1; ; attempt++) {
    if (foreign.length > 0) run = current(call) ?? run
    const ipam = call.delegate(hostLocalConfig(run, call.config.dataDir, foreign))
    try {
      const leased = ipam.add()!
      call.undo('address lease', () => ipam.del())
      // The agent gives up no block, and lets no other host have an address of one, before it has changed the file;
      // and it looks at the records after that.
      if (leased.ips.every(({ address }) => isOurs(current(call), address))) return { run, leased }
      ipam.del()
      if (attempt === ATTEMPTS)
        throw new CniError('tryAgainLater', `the blocks of network ${call.network} on this host change all the time`)
      run = joined(call)
    } catch (error) {
      if (isAsked || !isFull(error) || attempt === ATTEMPTS) throw error
      request(call, { op: 'grow', network: call.network })
      run = joined(call)
    }
  }
}
