// Links that several attachments stand on, such as a VLAN of the host's interface that containers' links are stacked
// on. The links above are in other namespaces, where the host cannot see them, so each attachment leaves its mark on
// the link: an alternative name (`ip link property`), which goes with the link and can never outlive it.
import { sha256 } from '#sys/digest.ts'
import { tolerate } from '#sys/errno.ts'
import { NetlinkError } from '#netlink/error.ts'
import type { Link, LinkSpec } from '#netlink/route/link.ts'
import { networkLabel, type Attachment } from './attachment.ts'
import { create, type Undo } from './creation.ts'
import { whileHostIsLocked } from './host-lock.ts'
import type { Namespace } from './namespace.ts'

/** What a shared link is to an attachment, which has at most one of each. */
export type Role = 'parent' | 'shim' | 'witness'
const roles: readonly Role[] = ['parent', 'shim', 'witness']

const PREFIX = 'fairlead-'

/** So many alternative names of the greatest length fill an attribute: rtnl_alt_ifname of net/core/rtnetlink.c. */
const MOST_MARKS = 496
const ENOSPC = 28

/** What the marks of a network begin with. */
const networkMark = (role: Role, network: string): string => `${PREFIX}${role}-${sha256(network).slice(0, 12)}-`

/** The mark of an attachment, unique on the host as every alternative name is. */
const mark = (role: Role, { network, containerId, ifName }: Attachment): string =>
  `${networkMark(role, network)}${sha256(`${containerId}/${ifName}`).slice(0, 16)}`

/** Whether a link is one that `joinShared` has made: as long as it lives somebody's mark is on it. */
export const isShared = ({ altNames = [] }: Link): boolean =>
  altNames.some(name => roles.some(role => name.startsWith(`${PREFIX}${role}-`)))

/** A link of that name, which is made, and then labelled for the attachment's network, when there is none. */
type SharedSpec = LinkSpec & { readonly name: string }

/**
 * Finds or makes a link for several attachments, and marks it as used by this one if it was made here. A link that
 * others have made is taken as it is, and stays.
 * @throws NetlinkError EOPNOTSUPP when the kernel lacks the kind, ENOSPC when too many share it already
 */
export const joinShared = (
  host: Namespace, attachment: Attachment, role: Role, spec: SharedSpec, undo: Undo,
): Link => whileHostIsLocked('shared', () => {
  const { name } = spec
  const found = host.link.find(name)
  if (found && !isShared(found)) return found
  if (found && (found.altNames ?? []).length >= MOST_MARKS) {
    throw new NetlinkError(`use of ${name}`, ENOSPC, `${MOST_MARKS} attachments share it, and it takes no more`)
  }
  const using = host.link.addingAltName(name, mark(role, attachment))
  const takeBack = (): void => leaveShared(host, attachment, role)
  create(undo, `use of ${name}`, takeBack, () => tolerate(['EEXIST'], () => {
    // In one write: without its label or its mark a link of a call that was killed would be nobody's to remove.
    const alias = networkLabel(attachment.network)
    host.requestAll(found ? [using] : [host.link.adding(spec), host.link.setting(0, { name, alias }), using])
  }))
  return host.link.get(name)
})

const removeUnused = (host: Namespace, index: number): void => {
  const link = tolerate(['ENODEV'], () => host.link.at(index))
  if (link && !isShared(link)) host.link.remove(link.name)
}

/** Takes an attachment's mark off the link that it shares in that role, and removes the link with the last mark. */
export const leaveShared = (host: Namespace, attachment: Attachment, role: Role): void => {
  const own = mark(role, attachment)
  const link = host.link.findAltName(own)
  if (link === undefined) return
  whileHostIsLocked('exclusive', () => {
    host.link.removeAltName(own)
    removeUnused(host, link.index)
  })
}

/** Takes the marks of a network's attachments that no longer live off their links, and removes links without any. */
export const collectShared = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const keep = new Set(valid.flatMap(attachment => roles.map(role => mark(role, attachment))))
  const own = roles.map(role => networkMark(role, network))
  whileHostIsLocked('exclusive', () => {
    for (const { index, altNames = [] } of host.link.list()) {
      const stale = altNames.filter(name => own.some(prefix => name.startsWith(prefix)) && !keep.has(name))
      for (const name of stale) host.link.removeAltName(name)
      if (stale.length > 0) removeUnused(host, index)
    }
  })
}
