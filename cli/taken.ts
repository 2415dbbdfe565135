// Whether a container has an interface already: what a failed ADD must not take down.
import { errnoOf } from '#sys/errno.ts'
import { Namespace } from '#net/namespace.ts'

const noNamespace = ['ENOENT', 'ENOTDIR', 'EINVAL', 'EISDIR']

/** Whether the namespace has the interface. Yes, too, when nobody can tell; no when there is no such namespace. */
export const isTaken = ({ netns, ifName }: { readonly netns: string; readonly ifName: string }): boolean => {
  try {
    using pod = Namespace.at(netns)
    return pod.link.find(ifName) !== undefined
  } catch (error) {
    return !noNamespace.includes(errnoOf(error) ?? '')
  }
}
