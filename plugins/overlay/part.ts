// This host's part in a network: what the agent has written down, and asking it where that does not do.
import { CniError, codes, invalidConfig } from '#cni/errors.ts'
import type { Call } from '#cni/driver.ts'
import type { FromSchema } from '#cni/schema.ts'
import type { schema } from './config.ts'
import { agreed, ask, readAnswer, socketPath, type Answer, type Request } from './agent-socket.ts'
import { isUsable, readRunFile, type RunFile } from './run-file.ts'

export type Config = FromSchema<typeof schema>

type Subject = Pick<Call<Config>, 'config' | 'network'>

/** Whoever asks the agent. */
export interface Asker { readonly config: Pick<Config, 'agent' | 'agentConfig' | 'runDir'> }

const PATIENCE_MS = 60_000

/** Has the agent do one thing in a process of its own, where there is no resident one. */
const askOnce = ({ agentConfig, runDir }: Asker['config'], request: Request): Answer => {
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

/** @returns undefined when no agent is there */
const answerTo = ({ config }: Asker, request: Request): Answer | undefined =>
  config.agent === 'none' ? askOnce(config, request) : ask(socketPath(config.runDir), request)

/** @throws CniError 11 when no agent is there, or what its answer is */
export const request = (subject: Asker, question: Request): void => {
  const answer = answerTo(subject, question)
  if (answer === undefined) {
    throw new CniError('tryAgainLater', `no overlay agent listens on ${socketPath(subject.config.runDir)}`,
      'start it: `systemctl start fairlead-agent`, or set "agent": "none"')
  }
  agreed(answer)
}

/** What the network is made with if the store has none of its name. */
const wishOf = ({ ranges, addressing, vni, port, internal, encryption }: Config): object | undefined =>
  ranges === undefined ? undefined : { ranges, addressing, vni, port, internal, encryption }

/** @throws CniError 7 for keys that contradict what the network is */
const requireSame = ({ config, network }: Subject, run: RunFile): RunFile => {
  for (const key of ['addressing', 'vni', 'port', 'internal', 'encryption'] as const) {
    const wanted = config[key]
    if (wanted === undefined || wanted === run[key]) continue
    throw invalidConfig(`${key} ${wanted}: network ${network} has ${key} ${run[key]}`,
      'correct it or leave it out: a network is the same on all hosts')
  }
  const subnets = run.ranges.map(({ subnet }) => subnet)
  const other = config.ranges?.find(({ subnet }) => !subnets.includes(subnet))
  if (other === undefined) return run
  throw invalidConfig(`ranges: ${other.subnet} is not of network ${network}, which has ${subnets.join(', ')}`,
    'correct it or leave it out: a network is the same on all hosts')
}

/** The run file as it is now. */
export const current = ({ config, network }: Subject): RunFile | undefined => readRunFile(config.runDir, network)

/** @throws CniError 11 when this host was removed from the cluster */
const requireInService = (run: RunFile): RunFile => {
  if (run.drained === undefined) return run
  throw new CniError('tryAgainLater', `network ${run.network}: this host hands out no addresses: ${run.drained}`,
    'restart the agent to have the host join again')
}

/** This host's part, which it gets now if it has none yet. @throws CniError */
export const joined = (subject: Subject): RunFile => {
  const known = current(subject)
  if (known !== undefined && subject.config.agent === 'resident') {
    requireInService(known)
    if (isUsable(known)) return requireSame(subject, known)
  }
  const { config, network } = subject
  try {
    request(subject, { op: 'join', network, config: wishOf(config) })
  } catch (error) {
    // Without the store this host can do with what it has, only not hear of others.
    const isAway = error instanceof CniError && error.code === codes.tryAgainLater
    if (!isAway || known === undefined || !isUsable(known)) throw error
  }
  const run = current(subject)
  if (run === undefined || !isUsable(run)) {
    throw new CniError('tryAgainLater', `the overlay agent has written nothing about network ${network}`,
      `see its log; its run directory has to be runDir ${config.runDir}`)
  }
  return requireSame(subject, requireInService(run))
}

/** For STATUS: whether the host could get what it has not. @throws CniError 50 */
export const requireAgent = (subject: Subject): void => {
  const unavailable = (message: string, advice: string): CniError => new CniError('notAvailable', message, advice)
  const answer = answerTo(subject, { op: 'status', network: subject.network })
  if (answer === undefined) {
    throw unavailable(`no overlay agent listens on ${socketPath(subject.config.runDir)}`,
      'start it: `systemctl start fairlead-agent`')
  }
  if (!answer.ok) throw unavailable(`the overlay agent: ${answer.message}`, answer.advice)
  const { obstacle } = answer
  if (typeof obstacle === 'string') throw unavailable(`the overlay agent: ${obstacle}`, 'see `fairlead host list`')
}

/** For STATUS, of hosts that can do without the store: whether it is there. @throws CniError 51 */
export const warnOfLoss = (subject: Subject): void => {
  if (subject.config.agent === 'none') return
  const answer = answerTo(subject, { op: 'status' })
  const problem = answer === undefined ? 'no agent is running' : answer.ok ? answer['obstacle'] : answer.message
  if (typeof problem !== 'string') return
  throw new CniError('limitedConnectivity',
    `network ${subject.network} does not follow changes of other hosts: ${problem}`,
    'containers keep the connections that they have')
}
