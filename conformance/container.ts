// What cases look for in a container: its entry in a result, and the host's end of its link.

import { must } from './expect.ts'
import type { Link } from './netns.ts'
import type { Pod } from './pod.ts'
import type { Interface, Result } from './result.ts'
import type { World } from './world.ts'

/** The link of that name in the container; throws when there is none. */
export const linkIn = (pod: Pod, ifname = 'eth0'): Link => {
  const link = pod.netns.link(ifname)
  must(link, `there is no ${ifname} in ${pod.netns.path}`)
  return link
}

/** The host's end of a veth in the container; undefined when the link is none, or a device with a cable of its own. */
export const hostEnd = (world: World, pod = world.pod, ifname = 'eth0'): Link | undefined => {
  const { linkinfo, link_index } = linkIn(pod, ifname)
  if (linkinfo?.info_kind !== 'veth' || world.subject.profile.host?.includes('device')) return undefined
  return world.host.links().find(({ ifindex }) => ifindex === link_index)
}

/** The index of the container's entry in `interfaces`; throws when there is none. */
export const entryOf = (result: Result, pod: Pod, ifname = 'eth0'): number => {
  const at = result.interfaces?.findIndex(({ name, sandbox }) => name === ifname && sandbox === pod.netns.path) ?? -1
  must(at >= 0, `interfaces has no ${ifname} with the sandbox ${pod.netns.path}: ${JSON.stringify(result.interfaces)}`)
  return at
}

/** Entries of links on the host. */
export const hostEntries = ({ interfaces = [] }: Result): Interface[] => interfaces.filter(({ sandbox }) => !sandbox)
