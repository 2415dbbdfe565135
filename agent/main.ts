// `fairlead agent`: resident, or with --once one request and out again.
import { Namespace } from '#net/namespace.ts'
import type { Answer, Request } from '#cni/cluster/agent-socket.ts'
import { errnoOf } from '#sys/errno.ts'
import { close, makeDirectory, openOrCreate } from '#sys/file.ts'
import { tryLock } from '#sys/libc.ts'
import { sleep } from '#sys/sleep.ts'
import { runOnce, statusOnce } from './once.ts'
import { OverlayError } from './overlay-error.ts'
import { Resident } from './resident.ts'
import {
  defaultConfigFile, readWishes, settingKeys, settingsOf, storeOf, type Settings, type Wishes,
} from './settings.ts'

/** Options of the command line, by name. */
export type Values = Readonly<Record<string, unknown>>

const wishesOf = (values: Values): Wishes => {
  const { config } = values
  const wishes: Wishes = Object.fromEntries(Object.keys(settingKeys).filter(key => typeof values[key] === 'string')
    .map(key => [key, values[key]]))
  const file = typeof config === 'string' ? config : defaultConfigFile
  return { ...readWishes(file, typeof config === 'string' && config !== defaultConfigFile), ...wishes }
}

/** The store of a command line. @throws OverlayError */
export const readStore = (values: Values): Pick<Settings, 'store'> => ({ store: storeOf(wishesOf(values)) })

/**
 * How long the state is waited for, in milliseconds: a dying agent needs a moment; those that do a single thing wait
 * for each other, and the plugins for them, a little longer.
 */
const [SUCCESSION, TURN, LOOK_EVERY] = [10_000, 50_000, 100]

/** Keeps every other agent away from the state. @throws OverlayError `taken` */
const lockState = ({ stateDirectory }: Settings, patience: number): number => {
  makeDirectory(stateDirectory, 0o700)
  const fd = openOrCreate(`${stateDirectory}/lock`, 0o600)
  for (let waited = 0; !tryLock(fd); waited += LOOK_EVERY) {
    if (waited >= patience) {
      close(fd)
      throw new OverlayError('taken', `another agent uses ${stateDirectory}`, 'stop it, or name another state-dir')
    }
    sleep(LOOK_EVERY)
  }
  return fd
}

const readStdin = async (): Promise<string> => {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk)
  return text
}

/** Carries out the request on stdin. */
const once = async (settings: Settings, say: (line: string) => void): Promise<Answer> => {
  const request = JSON.parse(await readStdin()) as Request
  using host = Namespace.host()
  if (request.op === 'status') return await statusOnce(settings, host, request)
  const fd = lockState(settings, TURN)
  try {
    return await runOnce(settings, host, request, say)
  } finally {
    close(fd)
  }
}

/** Why there is nobody to be told: the reader of our log is gone. */
const isDeaf = (error: unknown): boolean => ['EPIPE', 'EIO'].includes(errnoOf(error) ?? '')

/**
 * Runs an agent until it is told to stop by SIGTERM or SIGINT; what it has set up stays.
 * @param print what is asked for, on stdout
 * @param say one line for the log
 * @throws OverlayError when it cannot begin
 */
export const runAgent = async (
  values: Values, print: (text: string) => void, say: (line: string) => void,
): Promise<void> => {
  const settings = settingsOf(wishesOf(values))
  const tell = (line: string): void => {
    try { say(line) } catch (error) { if (!isDeaf(error)) throw error }
  }
  if (values['once'] === true) {
    print(`${JSON.stringify(await once(settings, tell))}\n`)
    return
  }
  const fd = lockState(settings, SUCCESSION)
  try {
    const stop = new AbortController()
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { stop.abort() })
    await new Resident(settings, stop.signal, tell).run()
  } finally {
    close(fd)
  }
}
