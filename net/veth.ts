// veth pairs across two namespaces.
import { hostLinkName, isNetworkLabel, label, type Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { trySysctl } from './sysctl.ts'

/** What a pair is to be. `mtu` goes to both ends, `mac` to the container's. */
export interface VethSpec { readonly mtu?: number | undefined; readonly mac?: string | undefined; readonly master?: number | undefined }

/**
 * ip link add HOSTNAME master MASTER up type veth peer name IFNAME netns POD: one step, so that the container's end is
 * born in its namespace under its final name. The host's end is named and labelled after the attachment.
 * @throws NetlinkError EEXIST when either name is taken
 */
export const addVeth = (host: Namespace, pod: Namespace, attachment: Attachment, { mtu, mac, master }: VethSpec): void => {
  const name = hostLinkName(attachment)
  host.link.add({
    name, mtu, master, up: true,
    info: { kind: 'veth', peer: { name: attachment.ifName, mtu, address: mac, netnsFd: pod.fd } },
  })
  // A container must not configure its host by router advertisements: CVE-2020-10749.
  trySysctl(`ipv6/conf/${name}/accept_ra`, '0')
}

/** Labels the host's end, for GC and for people. */
export const labelVeth = (host: Namespace, attachment: Attachment, index: number): void =>
  host.link.set(index, { alias: label(attachment) })

/** Removes an attachment's pair by its derived name; both ends go. @returns whether there was one */
export const removeVeth = (host: Namespace, attachment: Attachment): boolean => host.link.remove(hostLinkName(attachment))

/** Removes the host's ends of a network's attachments that no longer live. */
export const collectLinks = (host: Namespace, prefix: string, valid: readonly Attachment[]): void => {
  const keep = new Set(valid.map(label))
  for (const { alias = '', name } of host.link.list()) {
    if (alias.startsWith(prefix) && !isNetworkLabel(alias) && !keep.has(alias)) host.link.remove(name)
  }
}
