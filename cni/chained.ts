// What plugins that follow another in a chain have in common.
import type { Namespace } from '#net/namespace.ts'
import type { Link } from '#netlink/route/link.ts'
import { CniError } from './errors.ts'

/**
 * The interface that an earlier plugin of the chain has made.
 * @param plugin the name of the one that needs it
 * @throws CniError 4 when it is not there
 */
export const requireLink = (pod: Namespace, ifName: string, plugin: string): Link => {
  const link = pod.link.find(ifName)
  if (link) return link
  throw new CniError(
    'invalidEnvironment',
    `CNI_IFNAME ${ifName} does not exist in ${pod.path}`,
    `put ${plugin} behind the plugin that makes the interface`,
  )
}
