// Delegation: SPEC.md, section 4. The same bytes and the same environment, with another CNI_COMMAND.
import { errnoOf } from '#sys/errno.ts'
import { status } from '#sys/file.ts'
import { sleep } from '#sys/sleep.ts'
import type { Variables } from './environment.ts'
import { CniError } from './errors.ts'
import { isObject, parseObject, type Json } from './json.ts'
import type { Verb } from './spec.ts'

/** The executable of a plugin: the first regular file of that name in the directories. @throws CniError 4, 7 or 105 */
export const findPlugin = (type: string, directories: readonly string[]): string => {
  if (type.includes('/') || type === '.' || type === '..') {
    throw new CniError(
      'invalidConfig',
      `plugin type ${JSON.stringify(type)} is no file name`,
      'name a plugin in a directory of CNI_PATH',
    )
  }
  if (directories.length === 0) {
    throw new CniError(
      'invalidEnvironment',
      `CNI_PATH is missing, but plugin ${type} has to be called`,
      'set CNI_PATH to the directories with plugins',
    )
  }
  for (const directory of directories) {
    const path = `${directory}/${type}`
    if (status(path)?.isFile) return path
  }
  throw new CniError(
    'delegateFailed',
    `no plugin ${JSON.stringify(type)} in CNI_PATH ${directories.join(':')}`,
    'install it there or correct the type',
  )
}

const MAX_OUTPUT_BYTES = 1 << 24
// A plugin that is being replaced by copying; libcni waits the same way.
const BUSY_ATTEMPTS = 6
const BUSY_PAUSE_MS = 1000

const failure = (type: string, stdout: Uint8Array, stderr: string, end: string): CniError => {
  let said: Json = {}
  try { said = parseObject(stdout, 'its output') } catch { /* what it left on stderr has to do */ }
  const { code, msg, details } = said
  if (typeof code === 'number' && code > 0 && typeof msg === 'string') {
    return new CniError(code, msg, typeof details === 'string' ? details : '')
  }
  const text = stderr.trim() || new TextDecoder().decode(stdout).trim() || 'no output'
  return new CniError('delegateFailed', `plugin ${type} ${end}: ${text.slice(0, 1000)}`, 'see what it says for itself')
}

/**
 * Runs a plugin as a process of its own.
 * @param warn is given what it wrote to stderr
 * @returns its result on ADD, undefined on every other verb
 * @throws CniError its own error, or one with code 105 when it died without one
 */
export const execute = (
  type: string, path: string, verb: Verb, variables: Variables, stdin: Uint8Array, warn: (text: string) => void,
): Json | undefined => {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const env = { ...variables, CNI_COMMAND: verb }
  for (let attempt = 1; ; attempt++) {
    const run = spawnSync(path, { input: stdin, env, maxBuffer: MAX_OUTPUT_BYTES, argv0: path })
    if (run.error) {
      if (errnoOf(run.error) === 'ETXTBSY' && attempt < BUSY_ATTEMPTS) {
        sleep(BUSY_PAUSE_MS)
        continue
      }
      if (errnoOf(run.error) === 'ENOBUFS') {
        throw new CniError(
          'delegateFailed',
          `plugin ${type} printed more than ${MAX_OUTPUT_BYTES} bytes`,
          'that is no result',
        )
      }
      throw new CniError(
        'delegateFailed',
        `plugin ${path} does not start: ${errnoOf(run.error) ?? run.error.message}`,
        'it has to be executable',
      )
    }
    const stderr = run.stderr.toString()
    if (run.status !== 0) {
      const end = run.signal ? `was ended by ${run.signal}` : `exited with ${run.status}`
      throw failure(type, run.stdout, stderr, end)
    }
    if (stderr !== '') warn(stderr.trimEnd())
    if (verb !== 'ADD') return undefined
    const result = parseObject(run.stdout, `the result of plugin ${type}`)
    if (!isObject(result)) throw new CniError('delegateFailed', `plugin ${type} returned no object`)
    return result
  }
}
