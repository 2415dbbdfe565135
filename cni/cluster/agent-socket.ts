// Asking the node's agent: one JSON line there, one back. Synchronous, as everything that a plugin does.
import { isObject } from '../json.ts'
import { CniError, type codes } from '../errors.ts'
import { close, readInto, writeAll } from '#sys/file.ts'
import { tolerate } from '#sys/errno.ts'
import { connectUnix, isReadable } from '#sys/libc.ts'
import { sleep } from '#sys/sleep.ts'

export const socketPath = (runDirectory: string): string => `${runDirectory}/agent.sock`

export interface Holder { readonly container: string; readonly ifname: string }

/** Addresses and prefixes that this host's configuration keeps out of a pool. */
interface Excluding { readonly exclude?: readonly string[] | undefined }

/**
 * - `join`: gives this host a part in a network; `config` is what it is made with if there is none of that name.
 * - `grow`: gives it another block where those that it has are full; of a pool whose blocks all have owners, single
 *   addresses for a container, which the answer lists as `borrowed`; none of the families of `claimed`.
 * - `static`: claims an address outside of its blocks for a container; `release`: gives those of a container back.
 * - `leave`: gives everything of a network back that no container uses.
 * - `status`: tells how the agent and its store are, and what keeps this host from having a part in a network;
 *   `shortage` says why it has nothing more of it.
 */
export type Request =
  | { readonly op: 'join'; readonly network: string; readonly config?: object | undefined } & Excluding
  | { readonly op: 'grow'; readonly network: string; readonly claimed?: readonly string[] }
    & Partial<Holder> & Excluding
  | { readonly op: 'leave'; readonly network: string }
  | { readonly op: 'static'; readonly network: string; readonly ip: string } & Holder
  | { readonly op: 'release'; readonly network: string } & Holder
  | {
    readonly op: 'status'; readonly network?: string | undefined
    /** A network that does not exist would be made. */
    readonly canMake?: boolean
  } & Excluding

export type Answer =
  | { readonly ok: true; readonly [more: string]: unknown }
  /** `obstacle`: an Obstacle of the agent's, `unreachable` for the store, or `internal`. */
  | { readonly ok: false; readonly obstacle: string; readonly message: string; readonly advice: string }

const failure: Readonly<Record<string, keyof typeof codes>> = {
  'unreachable': 'tryAgainLater', 'unsettled': 'tryAgainLater', 'no-cluster': 'tryAgainLater',
  'removed': 'tryAgainLater', 'host-taken': 'tryAgainLater', 'foreign-cluster': 'tryAgainLater',
  'no-network': 'invalidConfig', 'invalid': 'invalidConfig', 'exhausted': 'outOfAddresses', 'taken': 'outOfAddresses',
  'unsupported': 'unsupportedByKernel',
}

export type Agreement = Extract<Answer, { readonly ok: true }>

/** An answer, if it is good. @throws CniError with the agent's words */
export const agreed = (answer: Answer): Agreement => {
  if (answer.ok) return answer
  const { obstacle, message, advice } = answer
  throw new CniError(failure[obstacle] ?? 'kernelRefused', `the fairlead agent: ${message}`, advice)
}

/** The answer in a line of text. @throws CniError 11 when it is none */
export const readAnswer = (text: string): Answer => {
  try {
    const answer: unknown = JSON.parse(text)
    if (isObject(answer) && typeof answer['ok'] === 'boolean') return answer as Answer
  } catch { /* told below */ }
  throw new CniError('tryAgainLater', `the fairlead agent answers ${JSON.stringify(text.slice(0, 200))}`, 'see its log')
}

/** An agent that works off many hosts' worth of changes answers late; one that is stopped never does. */
const PATIENCE_MS = 30_000
/** As long as many ask at the same time. */
const CONNECTION_ATTEMPTS = 500

const connect = (path: string): number | undefined => {
  for (let attempt = 1; ; attempt++) {
    const fd = tolerate(['ENOENT', 'ECONNREFUSED', 'ENOTDIR'], () =>
      tolerate(['EAGAIN'], () => connectUnix(path)) ?? 'busy')
    if (fd !== 'busy') return fd
    if (attempt === CONNECTION_ATTEMPTS) return undefined
    sleep(2)
  }
}

/**
 * Asks the agent that listens on a socket.
 * @returns undefined when nobody does
 * @throws CniError 11 when no answer comes
 */
export const ask = (path: string, request: Request, patience = PATIENCE_MS): Answer | undefined => {
  const fd = connect(path)
  if (fd === undefined) return undefined
  try {
    writeAll(fd, `${JSON.stringify(request)}\n`)
    const chunk = new Uint8Array(4096)
    const decoder = new TextDecoder()
    let text = ''
    while (!text.endsWith('\n')) {
      const count = isReadable(fd, patience) ? readInto(fd, chunk) : 0
      if (count === 0) {
        throw new CniError('tryAgainLater', `the fairlead agent gives no answer on ${path}`,
          'see its log: `journalctl -u fairlead-agent`')
      }
      text += decoder.decode(chunk.subarray(0, count), { stream: true })
    }
    return readAnswer(text)
  } finally {
    close(fd)
  }
}
