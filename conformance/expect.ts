// What cases ask of a reply. Each function throws a Failure that says what was expected and what came.

import type { Reply } from './call.ts'
import { isObject, type JsonObject } from './json.ts'
import type { Result } from './result.ts'

/** The plugin did not do what the case asks for. */
export class Failure extends Error {
  override readonly name = 'Failure'
}

/** Throws when `condition` is false. */
export function must(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Failure(message)
}

/** Throws when the two differ as JSON; `what` names them. */
export const mustEqual = (actual: unknown, expected: unknown, what: string): void => {
  const [is, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  must(is === wanted, `${what} is ${is}, expected ${wanted}`)
}

/** The one JSON object that a text has to consist of. */
export const objectIn = (text: string, where: string): JsonObject => {
  must(text.trim() !== '', `${where} is empty, expected one JSON object`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Failure(`${where} is not one JSON object: ${(error as Error).message}`)
  }
  must(isObject(value), `${where} is not a JSON object: ${text.trim().slice(0, 80)}`)
  return value
}

/** Exit status 0. */
export const succeeds = (reply: Reply): void => {
  const { verb, status, signal, stdout, stderr } = reply
  const said = (stdout.trim() || stderr.trim()).slice(0, 300)
  must(status === 0, `${verb} ${signal ? `was killed by ${signal}` : `exited with ${status}`}: ${said}`)
}

/** Success that prints nothing on stdout, as every verb but ADD and VERSION has to. */
export const succeedsSilently = (reply: Reply): void => {
  succeeds(reply)
  must(reply.stdout === '', `${reply.verb} printed on stdout: ${reply.stdout.slice(0, 200)}`)
}

/** Success with a result; the whole stdout is one JSON object. */
export const resultOf = (reply: Reply): Result => {
  succeeds(reply)
  return objectIn(reply.stdout, `stdout of ${reply.verb}`) as Result
}

/** An exact code, or `own` for the plugin's own codes from 100 on. */
export type Code = number | 'own'

export interface PluginError {
  readonly code: number
  readonly msg: string
  readonly details: string
  readonly document: JsonObject
}

/** The error object of a failed call: exit 1 to 125 and one JSON object with an integer code and a text. */
export const errorOf = (reply: Reply): PluginError => {
  const { verb, status, signal, stdout } = reply
  must(signal === null, `${verb} was ended by ${signal}`)
  must(status !== 0, `${verb} succeeded, expected an error; stdout: ${stdout.trim().slice(0, 200)}`)
  must(status !== null && status <= 125, `${verb} exited with ${status}, expected 1 to 125`)
  const document = objectIn(stdout, `stdout of ${verb} (exit ${status})`)
  const { code, msg, details = '' } = document
  must(Number.isInteger(code), `error code is ${JSON.stringify(code)}, expected an integer`)
  must(typeof msg === 'string' && msg !== '', `error msg is ${JSON.stringify(msg)}, expected a text`)
  must(typeof details === 'string', `error details is ${JSON.stringify(details)}, expected a text`)
  return { code: code as number, msg, details, document }
}

const accepts = (codes: readonly Code[], code: number): boolean =>
  codes.some(wanted => (wanted === 'own' ? code >= 100 : code === wanted))

/** An error with one of these codes whose text contains every one of `mentions`. */
export const refuses = (reply: Reply, codes: readonly Code[], ...mentions: string[]): PluginError => {
  const error = errorOf(reply)
  const said = `${error.code} "${error.msg}" "${error.details}"`
  must(accepts(codes, error.code), `error is ${said}, expected code ${codes.join(' or ').replace('own', '>= 100')}`)
  for (const word of mentions)
    must(`${error.msg} ${error.details}`.includes(word), `error ${said} does not mention ${word}`)
  return error
}
