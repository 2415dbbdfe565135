// veth pairs across two namespaces.
import { tolerate } from '#sys/errno.ts'
import { statusOf } from '#sys/file.ts'
import { hostLinkName, isAttachmentLabel, label, networkLabel, type Attachment } from './attachment.ts'
import type { Link } from '#netlink/route/link.ts'
import { netnsId } from '#netlink/route/netns-id.ts'
import { create, type Undo } from './creation.ts'
import type { Namespace } from './namespace.ts'
import { trySysctl } from './sysctl.ts'

/** What a pair is to be. `mtu` goes to both ends, `mac` to the container's. */
export interface VethSpec {
  readonly mtu?: number | undefined
  readonly mac?: string | undefined
  readonly master?: number | undefined
}

/**
 * ip link add HOSTNAME master MASTER up type veth peer name IFNAME netns POD: one step, so that the container's end is
 * born in its namespace under its final name. The host's end is named and labelled after the attachment.
 * @throws NetlinkError EEXIST when either name is taken
 */
export const addVeth = (
  host: Namespace, pod: Namespace, attachment: Attachment, { mtu, mac, master }: VethSpec, undo: Undo,
): void => {
  const name = hostLinkName(attachment)
  const info = { kind: 'veth', peer: { name: attachment.ifName, mtu, address: mac, netnsFd: pod.fd } } as const
  // Named and labelled in one write: an unlabelled link of a call that was killed would be nobody's to GC.
  create(undo, `link ${name}`, () => removeVeth(host, attachment), () => host.requestAll([
    host.link.adding({ name, mtu, master, up: true, info }), host.link.setting(0, { name, alias: label(attachment) }),
  ]))
  // A container must not configure its host by router advertisements: CVE-2020-10749.
  trySysctl(`ipv6/conf/${name}/accept_ra`, '0')
}

/** Removes an attachment's pair by its derived name; both ends go. @returns whether there was one */
export const removeVeth = (host: Namespace, attachment: Attachment): boolean =>
  host.link.remove(hostLinkName(attachment))

/** CNI_NETNS_OVERRIDE has the host's namespace taken for a container's. */
const isSame = (host: Namespace, pod: Namespace): boolean => {
  const [here, there] = [statusOf(host.fd), statusOf(pod.fd)]
  return here.device === there.device && here.inode === there.inode
}

/**
 * The host's end of the pair that a container's link is an end of, undefined when it is none. What a link in the
 * container says is no proof: whoever may add links there chooses the index of each end. The host's end has to name the
 * link, and its namespace.
 */
export const hostEnd = (host: Namespace, pod: Namespace, link: Link | undefined): Link | undefined => {
  if (link?.info.kind !== 'veth' || link.parent === undefined) return undefined
  const end = tolerate(['ENODEV'], () => host.link.at(link.parent!))
  if (end?.info.kind !== 'veth' || end.parent !== link.index) return undefined
  const leadsBack = end.netnsId === undefined ? isSame(host, pod) : end.netnsId === netnsId(host.rtnetlink, pod.fd)
  return leadsBack ? end : undefined
}

/** Whether a link is labelled for another attachment. Those of the Go suite are not labelled. */
export const isForAnother = ({ alias }: Link, attachment: Attachment): boolean =>
  isAttachmentLabel(alias) && alias !== label(attachment)

/** The container's interface, undefined when there is none or it is labelled, at either end, for another attachment. */
export const findOwnLink = (host: Namespace, pod: Namespace, attachment: Attachment): Link | undefined => {
  const link = pod.link.find(attachment.ifName)
  // The host's end first: its label is not for the container to change.
  return link && !isForAnother(hostEnd(host, pod, link) ?? link, attachment) ? link : undefined
}

/**
 * Whether the container's interface is one end of a pair that no attachment of ours claims, as those of the Go suite
 * are. Asked when the pair of `attachment` has not been found by its name.
 */
export const isUnclaimedPair = (host: Namespace, pod: Namespace, attachment: Attachment): boolean =>
  findOwnLink(host, pod, attachment)?.info.kind === 'veth'

/** The host's ends of all attachments of ours, of any network. */
export const attachedLinks = (host: Namespace): readonly Link[] =>
  host.link.list().filter(({ alias }) => isAttachmentLabel(alias))

/** Removes the host's ends of a network's attachments that no longer live. */
export const collectLinks = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const keep = new Set(valid.map(label))
  for (const { alias = '', name } of attachedLinks(host)) {
    if (alias.startsWith(networkLabel(network)) && !keep.has(alias)) host.link.remove(name)
  }
}
