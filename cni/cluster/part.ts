// This host's part in a network of many hosts: what the agent has written down, and asking it where that does not do.
import { CniError, codes } from '../errors.ts'
import { request, type Asker } from './agent.ts'
import { isUsable, readRunFile, type RunFile } from './run-file.ts'

/** A network as one configuration speaks of it. */
export interface Part<Run extends RunFile> {
  readonly network: string
  readonly asker: Asker
  /** What the network is made with if the store has none of its name. */
  readonly wish: object | undefined
  /** Passes through what agrees with the configuration. @throws CniError 7 */
  agree(run: RunFile): Run
}

/** The run file as it is now. */
export const current = ({ network, asker }: Pick<Part<RunFile>, 'network' | 'asker'>): RunFile | undefined =>
  readRunFile(asker.runDir, network)

/** @throws CniError 11 when this host was removed from the cluster */
const requireInService = (run: RunFile): RunFile => {
  if (run.drained === undefined) return run
  throw new CniError('tryAgainLater', `network ${run.network}: this host hands out no addresses: ${run.drained}`,
    'restart the agent to have the host join again')
}

/** This host's part, which it gets now if it has none yet. @throws CniError */
export const joined = <Run extends RunFile>(part: Part<Run>): Run => {
  const { asker, network, wish: config } = part
  const known = current(part)
  if (known !== undefined && asker.agent === 'resident') {
    requireInService(known)
    if (isUsable(known)) return part.agree(known)
  }
  try {
    request(asker, { op: 'join', network, config })
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
  return part.agree(requireInService(run))
}
