// Masquerading as the Go suite does it since 1.6 with nftables: pkg/ip/ipmasq_nftables_linux.go. Only removed, never
// written.
import { sha512 } from '#sys/digest.ts'
import { revise, rules, type TableName } from '#netlink/nftables/query.ts'
import type { Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { tableOf } from './table.ts'

export const table: TableName = { family: 'inet', table: 'cni_plugins_masquerade' }
export const CHAIN = 'masq_checks'

const digest = (text: string): string => sha512(text).slice(0, 16)

/** What the comments of a network's rules begin with. */
const networkStart = (network: string): string => `${digest(network)}-`

/** What the comments of an attachment's rules begin with: `HASH-HASH, net: NETWORK, if: IFNAME, id: CONTAINER`. */
export const attachmentStart = ({ network, containerId, ifName }: Attachment): string =>
  `${networkStart(network)}${digest(`${ifName}:${containerId}`)}`

const removeWhere = (host: Namespace, isStale: (comment: string) => boolean): void =>
  revise(host.netfilter, tx => {
    for (const { comment, handle } of rules(host.netfilter, table, CHAIN))
      if (isStale(comment)) tableOf(tx, table).chain(CHAIN).deleteRule(handle)
  })

/** Whether the attachment has a rule for each of its addresses. */
export const covers = (host: Namespace, attachment: Attachment, addresses: readonly string[]): boolean => {
  const start = attachmentStart(attachment)
  const own = rules(host.netfilter, table, CHAIN).filter(({ comment }) => comment.startsWith(start))
  return own.length >= addresses.length
}

/** Removes the rules of an attachment. */
export const remove = (host: Namespace, attachment: Attachment): void => {
  const start = attachmentStart(attachment)
  removeWhere(host, comment => comment.startsWith(start))
}

/** Removes the rules of a network's attachments that are not among `valid`. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const start = networkStart(network)
  const kept = valid.map(attachmentStart)
  removeWhere(host, comment => comment.startsWith(start) && !kept.some(whole => comment.startsWith(whole)))
}
