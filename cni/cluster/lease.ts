// Addresses for one attachment, from the blocks of this host or claimed one by one.
import type { Add } from '../driver.ts'
import { CniError, codes } from '../errors.ts'
import type { RequestedIp } from '../requested-ips.ts'
import type { Result } from '../result.ts'
import { foreignTo, hostLocalConfig, isOurs } from './addresses.ts'
import { giveBack, request } from './agent.ts'
import { current, joined, type Part } from './part.ts'
import type { RunFile } from './run-file.ts'

type Subject = Pick<Add<unknown>, 'containerId' | 'ifName' | 'delegate' | 'undo'>

/** What an attachment wants. */
export interface Wish {
  /** Where addresses are recorded. */
  readonly dataDir: string
  readonly requests: readonly RequestedIp[]
}

export interface Leased<Run extends RunFile> { readonly run: Run; readonly leased: Result }

/** Claims the addresses that are in no block of this host. */
const claimForeign = (
  { containerId, ifName, undo }: Subject, { network, asker }: Part<RunFile>, run: RunFile,
  requests: readonly RequestedIp[],
): readonly string[] => {
  const foreign = foreignTo(run, requests)
  if (foreign.length > 0) undo('claimed address', () => giveBack(asker, { network, containerId, ifName }))
  for (const ip of foreign) request(asker, { op: 'static', network, ip, container: containerId, ifname: ifName })
  return foreign
}

const isFull = (error: unknown): boolean => error instanceof CniError && error.code === codes.outOfAddresses

/** How often the blocks of this host may change under our hands. */
const ATTEMPTS = 5

/**
 * Leases an address of every family, to be given back if something fails later. A host whose blocks are full gets
 * another one.
 * @throws CniError 101 when there is no address, 11 when the agent has to be asked and cannot be
 */
export const lease = <Run extends RunFile>(
  call: Subject, part: Part<Run>, { dataDir, requests }: Wish,
): Leased<Run> => {
  const { network, asker } = part
  let run = joined(part)
  const foreign = claimForeign(call, part, run, requests)
  const isAsked = requests.length > 0
  for (let attempt = 1; ; attempt++) {
    if (foreign.length > 0) run = part.agree(current(part) ?? run)
    const ipam = call.delegate(hostLocalConfig(run, dataDir, foreign))
    try {
      const leased = ipam.add()!
      call.undo('address lease', () => ipam.del())
      // The agent gives up no block, and lets no other host have an address of one, before it has changed the file;
      // and it looks at the records after that.
      if (leased.ips.every(({ address }) => isOurs(current(part), address))) return { run, leased }
      ipam.del()
      if (attempt === ATTEMPTS)
        throw new CniError('tryAgainLater', `the blocks of network ${network} on this host change all the time`)
      run = joined(part)
    } catch (error) {
      if (isAsked || !isFull(error) || attempt === ATTEMPTS) throw error
      request(asker, { op: 'grow', network })
      run = joined(part)
    }
  }
}
