// This host's part in a network of many hosts: what the agent has written down, and asking it where that does not do.
import { CniError, codes } from '../errors.ts'
import { request, type Asker } from './agent.ts'
import { isForgotten, isUsable, readRunFile, type RunFile } from './run-file.ts'

/** A network as one configuration speaks of it. */
export interface Part<Run extends RunFile> {
  readonly network: string
  readonly asker: Asker
  /** What the network is made with if the store has none of its name. */
  readonly wish: object | undefined
  /** What this host's configuration keeps out of a pool. */
  readonly exclude?: readonly string[] | undefined
  /** Passes through what agrees with the configuration. @throws CniError 7 */
  agree(run: RunFile): Run
}

/** The run file as it is now. */
export const current = ({ network, asker }: Pick<Part<RunFile>, 'network' | 'asker'>): RunFile | undefined =>
  readRunFile(asker.runDir, network)

/** Why this host hands out no addresses, although it has some, and what to do. */
export const whyOutOfService = (
  { runDir }: Asker, run: RunFile,
): { readonly reason: string; readonly advice: string } | undefined => {
  if (run.drained !== undefined) return { reason: run.drained, advice: 'restart the agent to have the host join again' }
  if (!isForgotten(runDir, run)) return undefined
  return {
    reason: `the store has not heard of it for ${run.grace} s, and other hosts may have its addresses`,
    advice: 'see that the agent runs and reaches the store',
  }
}

/** @throws CniError 11 when this host was, or may have been, removed from the cluster */
const requireInService = (asker: Asker, run: RunFile): RunFile => {
  const why = whyOutOfService(asker, run)
  if (why === undefined) return run
  throw new CniError('tryAgainLater', `network ${run.network}: this host hands out no addresses: ${why.reason}`,
    why.advice)
}

/** An agent that is being started, as when a host boots, is waited for. In milliseconds. */
const ARRIVAL = 3000

/** This host's part, which it gets now if it has none yet. @throws CniError */
export const joined = <Run extends RunFile>(part: Part<Run>): Run => {
  const { asker, network, wish: config, exclude } = part
  const known = current(part)
  if (known !== undefined && asker.agent === 'resident') {
    requireInService(asker, known)
    if (isUsable(known)) return part.agree(known)
  }
  try {
    request(asker, { op: 'join', network, config, exclude }, ARRIVAL)
  } catch (error) {
    // Without the store this host can do with what it has, only not hear of others.
    const isAway = error instanceof CniError && error.code === codes.tryAgainLater
    if (!isAway || known === undefined || !isUsable(known)) throw error
  }
  const run = current(part)
  if (run === undefined || !isUsable(run)) {
    throw new CniError('tryAgainLater', `the fairlead agent has written nothing about network ${network}`,
      `see its log; its run directory has to be runDir ${asker.runDir}`)
  }
  return part.agree(requireInService(asker, run))
}
