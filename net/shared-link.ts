// Links that several attachments stand on, such as a VLAN of the host's interface that containers' links are stacked
// on. The links above are in other namespaces, where the host cannot see them, so each attachment leaves its mark on
// the link: an alternative name (`ip link property`), which goes with the link and can never outlive it.
import { sha256 } from '#sys/digest.ts'
import { tolerate } from '#sys/errno.ts'
import { NetlinkError } from '#netlink/error.ts'
import type { Link, LinkSpec } from '#netlink/route/link.ts'
import { isNetworkLabel, networkLabel, type Attachment } from './attachment.ts'
import { create, type Undo } from './creation.ts'
import { whileHostIsLocked } from './host-lock.ts'
import type { Namespace } from './namespace.ts'
import { trySysctl } from './sysctl.ts'

/** What a shared link is to an attachment, which has at most one of each. */
export type Role = 'parent' | 'shim' | 'witness'
const roles: readonly Role[] = ['parent', 'shim', 'witness']

const PREFIX = 'fairlead-'

/** So many alternative names of the greatest length fill an attribute: rtnl_alt_ifname of net/core/rtnetlink.c. */
const MOST_MARKS = 496
// include/uapi/asm-generic/errno-base.h
const EEXIST = 17
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

const requireRoom = ({ name, altNames = [] }: Link): void => {
  if (altNames.length < MOST_MARKS) return
  throw new NetlinkError(`use of ${name}`, ENOSPC, `${MOST_MARKS} attachments share it, and it takes no more`)
}

/** Makes the link, closed to router advertisements before it is up: CVE-2020-10749. */
const make = (host: Namespace, attachment: Attachment, role: Role, { up, ...spec }: SharedSpec): void => {
  const { name } = spec
  const alias = networkLabel(attachment.network)
  // In one write: without its label or its mark a link of a call that was killed would be nobody's to remove.
  host.requestAll([
    host.link.adding(spec), host.link.setting(0, { name, alias }),
    host.link.addingAltName(name, mark(role, attachment)),
  ])
  trySysctl(`ipv6/conf/${name}/accept_ra`, '0')
  // The host has nothing to say there; what stands on the link is not concerned.
  if (role !== 'shim') trySysctl(`ipv6/conf/${name}/disable_ipv6`, '1')
  if (up) host.link.set(0, { name, up })
}

/**
 * Finds or makes a link for several attachments, and marks it as used by this one if it was made here. A link that
 * others have made is taken as it is, and stays. Exclusive, so that nobody sees one without its mark.
 * @throws NetlinkError EOPNOTSUPP when the kernel lacks the kind, ENOSPC when too many share it already, EEXIST when
 * the attachment uses another link
 */
export const joinShared = (
  host: Namespace, attachment: Attachment, role: Role, spec: SharedSpec, undo: Undo,
): Link => whileHostIsLocked('exclusive', () => {
  const { name } = spec
  const used = findShared(host, attachment, role)
  // A second ADD of a living attachment: what it finds is not its own to take back.
  if (used?.name === name) return used
  if (used) throw new NetlinkError(`use of ${name}`, EEXIST, `the attachment uses ${used.name} already`)
  const found = host.link.find(name)
  if (found && !isShared(found)) return found
  if (found) requireRoom(found)
  create(undo, `use of ${name}`, () => leaveShared(host, attachment, role), () => {
    if (!found) make(host, attachment, role, spec)
    else host.requestAll([
      host.link.addingAltName(name, mark(role, attachment)), host.link.setting(0, { name, up: spec.up }),
    ])
  })
  return host.link.get(name)
})

/** The link that an attachment shares in that role. */
export const findShared = (host: Namespace, attachment: Attachment, role: Role): Link | undefined =>
  host.link.findAltName(mark(role, attachment))

const SCOPE_GLOBAL = 0

/** Removes a link of ours without marks, unless somebody has given it an address since, and so uses it. */
const removeUnused = (host: Namespace, index: number): void => {
  const link = tolerate(['ENODEV'], () => host.link.at(index))
  if (link === undefined || isShared(link) || !isNetworkLabel(link.alias)) return
  const isShim = link.info.kind === 'macvlan'
  const isAdopted = !isShim && host.addr.list(index).some(({ scope }) => scope === SCOPE_GLOBAL)
  if (!isAdopted) host.link.remove(link.name)
}

/** Takes an attachment's mark off the link that it shares in that role, and removes the link with the last mark. */
export const leaveShared = (host: Namespace, attachment: Attachment, role: Role): void => {
  const own = mark(role, attachment)
  const link = findShared(host, attachment, role)
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
