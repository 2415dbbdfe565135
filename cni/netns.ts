// CNI_NETNS: SPEC.md section 2, and what libcni's skeleton makes of it.
import { errnoOf } from '#sys/errno.ts'
import { isOwnNetns, Namespace } from '#net/namespace.ts'
import type { Environment } from './environment.ts'
import { CniError } from './errors.ts'

/** The container's namespace. @throws CniError 8 when the path leads to none */
export const openPod = (path: string): Namespace => {
  try {
    return Namespace.at(path)
  } catch (error) {
    const code = errnoOf(error) ?? ''
    const reason = code === 'EINVAL' ? 'is no network namespace' : `cannot be opened: ${code}`
    throw new CniError(
      'invalidNetns',
      `CNI_NETNS ${path} ${reason}`,
      'give the path of a network namespace, such as /run/netns/NAME',
      { cause: error },
    )
  }
}

/**
 * The same for DEL: a namespace that is gone, or whose bind mount is gone and left a plain file, is none. So is one
 * that cannot be opened for any other reason: what there is on the host has to be removed all the same.
 * @param warn is told of reasons out of the ordinary
 */
export const openPodIfThere = (path: string, warn: (message: string) => void): Namespace | undefined => {
  if (path === '') return undefined
  try {
    return Namespace.at(path)
  } catch (error) {
    const code = errnoOf(error) ?? String(error)
    if (!['ENOENT', 'ENOTDIR', 'EINVAL', 'EISDIR'].includes(code)) warn(`CNI_NETNS ${path} cannot be opened: ${code}`)
    return undefined
  }
}

/**
 * Whether CNI_NETNS is the plugin's own namespace without leave to be. A /proc path can become the host's when a
 * process id is used again (containernetworking/plugins#714).
 */
export const isForbiddenNetns = ({ netns, netnsOverride }: Environment): boolean =>
  netns !== '' && !netnsOverride && isOwnNetns(netns)

export const forbiddenNetns = ({ netns }: Environment): CniError =>
  new CniError(
    'invalidNetns',
    "plugin's netns and netns from CNI_NETNS should not be the same",
    `${netns} is the plugin's own; set CNI_NETNS_OVERRIDE=1 if that is meant`,
  )
