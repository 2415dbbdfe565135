// The version of a configuration, by itself: all that VERSION and errors need.
import { lookUp, parseObject } from './json.ts'
import { versions } from './spec.ts'

/** The version that a configuration asks for, undefined when that cannot be told or is none of ours. */
export const decodeVersion = (stdin: () => Uint8Array): string | undefined => {
  try {
    const version = lookUp(parseObject(stdin(), ''), 'cniVersion')
    return versions.find(known => known === version)
  } catch {
    return undefined
  }
}
