// The outermost shell of a plugin: the only place that reads the process's environment and stdin, writes and exits.
import { readBytes, readPromptly, status, statusOf, writeAll } from '#sys/file.ts'
import { version as release } from './release.ts'
import { decodeVersion } from './decode-version.ts'
import type { AnyDriver } from './driver.ts'
import { asCniError, CniError } from './errors.ts'
import { lookUp, parseObject } from './json.ts'
import { newest, versions } from './spec.ts'

/** process.exit runs handlers and tears the engine down; nothing of ours needs either. */
export const exit = (code: number): never =>
  (process as unknown as { reallyExit(code: number): never }).reallyExit(code)

const [STDIN, STDOUT, STDERR] = [0, 1, 2]

const told = new Set<string>()

/** Tells the operator something; what a delegate says again in the same process is not told twice. */
const complain = (text: string): void => {
  if (told.has(text)) return
  told.add(text)
  try { writeAll(STDERR, `${text}\n`) } catch { /* nobody listens */ }
}

/** What a plugin says of itself when it is called without CNI_COMMAND. */
export const about = (name: string): void =>
  complain(`CNI ${name} plugin ${release} (fairlead)\nCNI protocol versions supported: ${versions.join(', ')}`)

// VERSION is asked for more often than everything else together, and needs none of it.
const load = (): typeof import('./invocation.ts') => require('./invocation.ts')

const PATIENCE_MS = 200

let input: Uint8Array | undefined
const stdin = (): Uint8Array => {
  try {
    return input ??= readBytes(STDIN)
  } catch (error) {
    throw new CniError(
      'ioFailure',
      'stdin cannot be read',
      'the network configuration is expected there',
      { cause: error },
    )
  }
}

/** `type` of the configuration on stdin, undefined when it has none. */
export const requestedType = (): string | undefined => {
  try {
    const type = lookUp(parseObject(stdin(), ''), 'type')
    return typeof type === 'string' ? type : undefined
  } catch {
    return undefined
  }
}

/**
 * The version that was asked for, or our newest; whatever stdin holds. A terminal, or a pipe that nobody writes to, is
 * not waited for: the reference does not read stdin here.
 */
const answerVersion = (): string => {
  try {
    const asked = statusOf(STDIN).isDevice
      ? undefined
      : decodeVersion(() => input ??= readPromptly(STDIN, PATIENCE_MS))
    return asked ?? newest
  } catch {
    return newest // stdin is closed
  }
}

/**
 * Runs one plugin invocation, CNI_COMMAND being set, and ends the process: with 0, or with 1 and an error object on
 * stdout.
 * @param resident the driver of a plugin name, when the executable contains it
 */
export const runPlugin = (name: string, resident: (name: string) => AnyDriver | undefined): never => {
  const variables = process.env
  const print = (value: object): void => writeAll(STDOUT, `${JSON.stringify(value)}\n`)
  try {
    if (variables['CNI_COMMAND'] === 'VERSION') {
      print({ cniVersion: answerVersion(), supportedVersions: versions })
    } else {
      load().invoke(resident(name)!, {
        variables, stdin, executable: status('/proc/self/exe'), resident, warn: complain, deliver: print,
      })
    }
    return exit(0)
  } catch (error) {
    const { code, message, details } = asCniError(error)
    try {
      print({ cniVersion: answerVersion(), code, msg: message, ...(details && { details }) })
    } catch { /* a closed stdout cannot be told */ }
    return exit(1)
  }
}
