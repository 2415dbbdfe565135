// Asking the agent, whether it is resident or started for one request.
import { sleep } from '#sys/sleep.ts'
import { CniError } from '../errors.ts'
import { agreed, ask, readAnswer, socketPath, type Agreement, type Answer, type Request } from './agent-socket.ts'

/** Keys of a configuration that say where the agent is. */
export interface Asker {
  readonly agent: 'resident' | 'none'
  readonly agentConfig: string
  readonly runDir: string
}

const PATIENCE_MS = 60_000

/** Has the agent do one thing in a process of its own, where there is no resident one. */
const askOnce = ({ agentConfig, runDir }: Asker, request: Request): Answer => {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const args = ['agent', '--once', '--config', agentConfig, '--run-dir', runDir]
  const { error, stdout, stderr } = spawnSync('/proc/self/exe', args, {
    argv0: 'fairlead', input: `${JSON.stringify(request)}\n`, encoding: 'utf8', timeout: PATIENCE_MS,
  })
  if (error || stdout === '') {
    throw new CniError('tryAgainLater', `fairlead agent --once fails: ${error?.message ?? stderr.trim()}`,
      `see ${agentConfig}`)
  }
  return readAnswer(stdout)
}

/** Asks whoever is resident, also where nobody has to be: the state is that one's. @returns undefined for nobody */
const answerTo = (asker: Asker, request: Request): Answer | undefined =>
  ask(socketPath(asker.runDir), request) ?? (asker.agent === 'none' ? askOnce(asker, request) : undefined)

/** How often an agent that is being started is looked for, in milliseconds. */
const LOOK_EVERY = 50

/**
 * @param patience how long an agent that is not there is waited for, in milliseconds
 * @throws CniError 11 when no agent is there, or what its answer is
 */
export const request = (asker: Asker, question: Request, patience = 0): Agreement => {
  let answer = answerTo(asker, question)
  for (let waited = 0; answer === undefined && waited < patience; waited += LOOK_EVERY) {
    sleep(LOOK_EVERY)
    answer = answerTo(asker, question)
  }
  if (answer !== undefined) return agreed(answer)
  throw new CniError('tryAgainLater', `no fairlead agent listens on ${socketPath(asker.runDir)}`,
    'start it: `systemctl start fairlead-agent`, or set "agent": "none"')
}

/** Gives back what was claimed for an attachment. The agent finds out by itself, too, only later. */
export const giveBack = (
  asker: Asker, { network, containerId, ifName }: { network: string; containerId: string; ifName: string },
): void => {
  request(asker, { op: 'release', network, container: containerId, ifname: ifName })
}

/**
 * For STATUS: whether the host could get what it has not.
 * @param canMake whether the configuration says what a network is made with that does not exist
 * @throws CniError 50
 */
export const requireAgent = (asker: Asker, network: string, canMake: boolean): void => {
  goodStatus(asker, { op: 'status', network, canMake })
}

/** For STATUS, of a host that has no address left: whether there are others. @throws CniError 50 */
export const requireMore = (asker: Asker, network: string, exclude: readonly string[]): void => {
  const { shortage } = goodStatus(asker, { op: 'status', network, exclude })
  if (typeof shortage !== 'string') return
  throw new CniError('notAvailable', shortage, 'remove containers, or hosts that are gone (`fairlead host list`)')
}

/** @throws CniError 50 */
const goodStatus = (asker: Asker, question: Request): Agreement => {
  const unavailable = (message: string, advice: string): CniError => new CniError('notAvailable', message, advice)
  const answer = answerTo(asker, question)
  if (answer === undefined) {
    throw unavailable(`no fairlead agent listens on ${socketPath(asker.runDir)}`,
      'start it: `systemctl start fairlead-agent`')
  }
  if (!answer.ok) throw unavailable(`the fairlead agent: ${answer.message}`, answer.advice)
  const { obstacle } = answer
  if (typeof obstacle === 'string') throw unavailable(`the fairlead agent: ${obstacle}`, 'see the log of the agent')
  return answer
}

/** For STATUS, of hosts that can do without the store: whether it is there. @throws CniError 51 */
export const warnOfLoss = (asker: Asker, network: string): void => {
  if (asker.agent === 'none') return
  const answer = answerTo(asker, { op: 'status' })
  const problem = answer === undefined ? 'no agent is running' : answer.ok ? answer['obstacle'] : answer.message
  if (typeof problem !== 'string') return
  throw new CniError('limitedConnectivity',
    `network ${network} does not follow changes of other hosts: ${problem}`,
    'containers keep the connections that they have')
}
