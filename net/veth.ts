// veth pairs across two namespaces.
import { tolerate } from '#sys/errno.ts'
import { hostLinkName, isAttachmentLabel, label, networkLabel, type Attachment } from './attachment.ts'
import type { Link } from '#netlink/route/link.ts'
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

/**
 * Whether the container's interface is one end of a pair that no attachment of ours claims, as those of the Go suite
 * are. Asked when the pair of `attachment` has not been found by its name.
 */
export const isUnclaimedPair = (host: Namespace, pod: Namespace, attachment: Attachment): boolean => {
  const link = pod.link.find(attachment.ifName)
  if (link?.info.kind !== 'veth') return false
  const alias = link.parent === undefined ? undefined : tolerate(['ENODEV'], () => host.link.at(link.parent!).alias)
  return !isAttachmentLabel(alias) || alias === label(attachment)
}

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
