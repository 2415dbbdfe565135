// Whom the firewall has admitted an address for. The Go suite's rules in iptables do not say so, and others read their
// texts; so this stands beside them, in a table without a single rule. What the Go suite has written is not in there.
import { tolerate } from '#sys/errno.ts'
import { formatIp, parseIp } from '#netlink/ip.ts'
import { elements, findElement, revise, type TableName } from '#netlink/nftables/query.ts'
import { commit } from '#netlink/nftables/transaction.ts'
import { comment, type Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { fullName, tableOf } from './table.ts'

const TABLE: TableName = { family: 'inet', table: 'fairlead_admitted' }
const sets = {
  ipv4: { name: 'addresses4', type: 'ipv4_addr' }, ipv6: { name: 'addresses6', type: 'ipv6_addr' },
} as const

/** An address as the sets have it, and which of them. */
interface Entry { readonly key: string; readonly set: typeof sets[keyof typeof sets] }

/** Undefined when it is no address. */
const placed = (address: string): Entry | undefined => {
  const bytes = parseIp(address.split('/')[0]!)
  return bytes && { key: formatIp(bytes), set: bytes.length === 4 ? sets.ipv4 : sets.ipv6 }
}

/** Enters addresses as an attachment's, whoever had them before. Does nothing where the kernel has no nftables. */
export const enter = (host: Namespace, attachment: Attachment, addresses: readonly string[]): void => {
  tolerate(['EOPNOTSUPP', 'EPROTONOSUPPORT', 'EINVAL'], () => commit(host.netfilter, tx => {
    const table = tableOf(tx, TABLE).add({ comment: 'Fairlead: owners of the rules in CNI-FORWARD' })
    for (const { name, type } of Object.values(sets)) table.set(name, type).add()
    for (const { key, set } of addresses.map(placed).filter(place => place !== undefined))
      table.set(set.name, set.type).replace(key, undefined, { comment: comment(attachment) })
  }))
}

/** Whether anything may be entered. @param present the names of all tables of the host */
export const isThere = (present: ReadonlySet<string>): boolean => present.has(fullName(TABLE))

/** The comment of the attachment that has an address. */
export const ownerOf = (host: Namespace, address: string): string | undefined => {
  const place = placed(address)
  return place && findElement(host.netfilter, TABLE, place.set.name, place.set.type, place.key)?.comment
}

/** The addresses of those whose comments are meant. */
export const addressesOf = (host: Namespace, isMeant: (comment: string) => boolean): string[] =>
  Object.values(sets).flatMap(({ name, type }) => elements(host.netfilter, TABLE, name, type))
    .filter(({ comment }) => isMeant(comment)).map(({ key }) => key)

/** Strikes out addresses of those whose comments are meant, and with the last of all the table. */
export const strike = (host: Namespace, addresses: readonly string[], isMeant: (comment: string) => boolean): void => {
  const keys = new Set(addresses.map(address => placed(address)?.key))
  revise(host.netfilter, tx => {
    const table = tableOf(tx, TABLE)
    let left = 0
    for (const { name, type } of Object.values(sets))
      for (const { key, comment } of elements(host.netfilter, TABLE, name, type)) {
        if (keys.has(key) && isMeant(comment)) table.set(name, type).remove(key)
        else left++
      }
    if (left === 0) table.delete()
  })
}
