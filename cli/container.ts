// The container that a namespace stands for on the command line: cnitool's rules, and names as `ip netns` has them.
import { resolve } from 'node:path'
import { sha512 } from '#sys/digest.ts'
import { status } from '#sys/file.ts'

const NAMED = '/run/netns'
const ID_DIGITS = 20 // the first 10 bytes of the digest

/** The container id that cnitool derives from the absolute path of a namespace. */
export const containerIdOf = (netns: string): string => `cnitool-${sha512(netns).slice(0, ID_DIGITS)}`

/**
 * The absolute path of a namespace. A bare name that is no file here is one below /run/netns, if it is there, or if
 * something is still attached to it.
 * @param directory the working directory
 * @param isAttached whether the cache knows a namespace
 */
export const netnsPath = (operand: string, directory: string, isAttached: (netns: string) => boolean): string => {
  const path = resolve(directory, operand)
  if (operand.includes('/') || status(path) !== undefined) return path
  const named = `${NAMED}/${operand}`
  return status(named) !== undefined || isAttached(named) ? named : path
}
