// Bridge ports that reach the gateway and the ports that are not isolated, but not each other: `isolated` of bridge(8).
// That a port has been isolated for an attachment is written on the port itself, as an alternative name of the link
// (`ip link property`), so that DEL finds it whatever it is called, and what another plugin has isolated stays so.
import { sha256 } from '#sys/digest.ts'
import { errnoOf, tolerate } from '#sys/errno.ts'
import type { Link } from '#netlink/route/link.ts'
import type { Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'

const networkMark = (network: string): string => `fairlead-isolated-${sha256(network).slice(0, 12)}-`

const markOf = ({ network, containerId, ifName }: Attachment): string =>
  `${networkMark(network)}${sha256(`${containerId}/${ifName}`).slice(0, 16)}`

/** Isolates a port; fine when it is. @throws NetlinkError */
export const add = (host: Namespace, attachment: Attachment, { index, name, port }: Link): void => {
  if (port?.isolated === 1) return
  try {
    // First, so that there is nothing to find without it.
    host.requestAll([host.link.addingAltName(name, markOf(attachment))])
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST' || host.link.findAltName(markOf(attachment))?.index !== index) throw error
  }
  host.link.setPort(index, { isolated: 1 })
}

const release = (host: Namespace, mark: string, { index, port }: Link): void => {
  tolerate(['ENODEV'], () => { if (port?.isolated === 1) host.link.setPort(index, { isolated: 0 }) })
  host.link.removeAltName(mark)
}

/** Ends the isolation of an attachment's port; fine when there is none. */
export const remove = (host: Namespace, attachment: Attachment): void => {
  const mark = markOf(attachment)
  const link = host.link.findAltName(mark)
  if (link) release(host, mark, link)
}

/** The same for a network's attachments that are not among `valid`. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const kept = new Set(valid.map(markOf))
  for (const link of host.link.list()) {
    const stale = link.altNames?.filter(name => name.startsWith(networkMark(network)) && !kept.has(name)) ?? []
    for (const mark of stale) release(host, mark, link)
  }
}

/** Whether a port has been isolated for an attachment here. */
export const isMarked = (attachment: Attachment, { altNames = [] }: Link): boolean =>
  altNames.includes(markOf(attachment))

/** @throws Error when the port is not isolated */
export const check = ({ name, port }: Link): void => {
  if (port?.isolated !== 1)
    throw new Error(`firewall: port ${name} is not isolated; \`bridge link set dev ${name} isolated on\``)
}
