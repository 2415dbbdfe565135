// CNI_ARGS: `KEY=VALUE;KEY=VALUE`, SPEC.md section 2 and CONVENTIONS.md; details as pkg/types/args.go has them,
// but values may contain `=` and the last `;` may stay: both are sent by real runtimes.
import { CniError } from './errors.ts'

const ignoring = /^(1|true)$/i
const minding = /^(0|false)$/i

/** Keys of CONVENTIONS.md: one variable serves the whole chain, so what is meant for another plugin is no mistake. */
const conventional = ['IP', 'GATEWAY', 'MAC']

/**
 * The values of CNI_ARGS that a plugin knows. Keys are case-sensitive; of repeated ones the last counts.
 * @param known keys that the plugin reads
 * @throws CniError with code 4 on a malformed pair, or on unknown keys without IgnoreUnknown
 */
export const readArgs = (text: string, known: readonly string[]): ReadonlyMap<string, string> => {
  const values = new Map<string, string>()
  for (const pair of text.split(';')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    if (at < 0) {
      throw new CniError(
        'invalidEnvironment',
        `CNI_ARGS: ${JSON.stringify(pair)} is no KEY=VALUE`,
        'separate pairs by semicolons',
      )
    }
    values.set(pair.slice(0, at), pair.slice(at + 1))
  }
  const mode = values.get('IgnoreUnknown') ?? '0'
  if (!ignoring.test(mode) && !minding.test(mode)) {
    throw new CniError(
      'invalidEnvironment',
      `CNI_ARGS: IgnoreUnknown=${mode} is no boolean`,
      'give 1, 0, true or false',
    )
  }
  values.delete('IgnoreUnknown')
  const foreign = [...values.keys()].filter(key => !known.includes(key))
  const unknown = foreign.filter(key => !conventional.includes(key))
  if (unknown.length > 0 && !ignoring.test(mode)) {
    throw new CniError(
      'invalidEnvironment',
      `CNI_ARGS: unknown keys ${unknown.join(', ')}`,
      'leave them out or add IgnoreUnknown=1',
    )
  }
  for (const key of foreign) values.delete(key)
  return values
}
