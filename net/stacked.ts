// A container's link on top of another one: macvlan, ipvlan, VLAN.
import { tolerate } from '#sys/errno.ts'
import type { Link, LinkSpec } from '#netlink/route/link.ts'
import { isAttachmentLabel, label, provisionalLinkName, type Attachment } from './attachment.ts'
import { create, type Undo } from './creation.ts'
import type { Namespace } from './namespace.ts'

/** What a stacked link is to be; `parent` is the index of the link below it. */
export interface StackedSpec {
  readonly parent: number
  readonly mtu?: number | undefined
  readonly mac?: string | undefined
  readonly info: NonNullable<LinkSpec['info']>
}

/**
 * ip link add link PARENT name IFNAME netns POD type KIND. Until Linux 6.15 the kernel looks for the new name in the
 * namespace of the parent, where it may well be taken, so the link is born under a provisional one.
 * @param home the parent's namespace
 * @throws NetlinkError EEXIST when IFNAME is taken, EOPNOTSUPP when the kernel lacks the kind, EBUSY when the parent
 * has links of another kind on it
 */
export const addStacked = (
  home: Namespace, pod: Namespace, attachment: Attachment, { parent, mtu, mac, info }: StackedSpec, undo: Undo,
): Link => {
  const { ifName } = attachment
  const name = provisionalLinkName(attachment)
  let index: number | undefined
  const takeBack = (): void => {
    if (index === undefined) pod.link.remove(name)
    else tolerate(['ENODEV'], () => pod.link.del(index!))
  }
  create(undo, `link ${ifName}`, takeBack, () =>
    home.link.add({ name, parent, mtu, address: mac, netnsFd: pod.fd, info }))
  const link = pod.link.get(name)
  index = link.index
  pod.link.set(index, { name: ifName, alias: label(attachment) })
  return { ...link, name: ifName }
}

/**
 * Whether a link in the container is an attachment's, or nobody's as those of the Go suite are. Another network of ours
 * may have a link of that name.
 */
const isOwn = ({ alias }: Link, attachment: Attachment): boolean =>
  !isAttachmentLabel(alias) || alias === label(attachment)

/** Removes an attachment's link of this kind, also one of an ADD that was killed before it had given it its name. */
export const removeFromPod = (pod: Namespace, attachment: Attachment, kind: string): void => {
  const { ifName } = attachment
  const link = pod.link.find(ifName)
  // The kernel finds links by their alternative names as well.
  if (link?.name === ifName && link.info.kind === kind && isOwn(link, attachment)) pod.link.remove(ifName)
  pod.link.remove(provisionalLinkName(attachment))
}
