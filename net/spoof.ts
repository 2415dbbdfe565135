// MAC spoof check: a container may send frames with its own hardware address only. Two hash sets in a table for
// bridges, so a frame costs two lookups and a change two elements, however many containers there are.
import { concat, ether, iifname } from '#netlink/nftables/match.ts'
import {
  elements, findChain, findElement, looksUp, revise, rules, tables, type TableName,
} from '#netlink/nftables/query.ts'
import { drop } from '#netlink/nftables/statement.ts'
import { commit } from '#netlink/nftables/transaction.ts'
import { formatMac, parseMac } from '#netlink/mac.ts'
import { tolerate } from '#sys/errno.ts'
import { comment, hostLinkName, networkComment, type Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import { runAll } from './steps.ts'
import { addTable, fairleadBridge, fullName, tableOf } from './table.ts'

const BASE = 'prerouting'
/** The links whose frames are looked at. */
const CHECKED = { name: 'checked', type: 'ifname' } as const
/** What is let through from them. */
const ALLOWED = { name: 'allowed', type: 'ifname . ether_addr' } as const

/** Before everything else that looks at frames; the Go suite uses the same. */
const PRIORITY = -300

const pairOf = (attachment: Attachment, mac: string): string => {
  const bytes = parseMac(mac)
  if (bytes === undefined) throw new RangeError(`${mac} is no hardware address`)
  return `${hostLinkName(attachment)} . ${formatMac(bytes)}`
}

/**
 * Drops what the attachment's host link receives from the container with a source address other than `mac`.
 * @throws NetlinkError EOPNOTSUPP or ENOENT when the kernel cannot filter on bridges
 */
export const add = (host: Namespace, attachment: Attachment, mac: string): void => {
  const remark = { comment: comment(attachment) }
  const pair = pairOf(attachment, mac)
  const ready = (findChain(host.netfilter, fairleadBridge, BASE)?.use ?? 0) > 0
  commit(host.netfilter, tx => {
    const table = ready ? tableOf(tx, fairleadBridge) : addTable(tx, fairleadBridge)
    const checked = table.set(CHECKED.name, CHECKED.type)
    const allowed = table.set(ALLOWED.name, ALLOWED.type)
    if (!ready) {
      checked.add({ comment: 'links of containers that are bound to their hardware address' })
      allowed.add({ comment: 'the addresses they are bound to' })
      table.chain(BASE).add({ type: 'filter', hook: 'prerouting', priority: PRIORITY }).flush()
        .rule(iifname.inSet(CHECKED.name), concat(iifname, ether.saddr).notInSet(ALLOWED.name), drop)
    }
    // A link of this name is this attachment's, so what may be there is its own and just gets the right comment.
    allowed.replace(pair, undefined, remark)
    checked.replace(hostLinkName(attachment), undefined, remark)
  })
}

/** Removes the elements of the links whose comment `isStale`, and with the last of all the table. */
const removeWhere = (host: Namespace, isStale: (comment: string) => boolean): void => revise(host.netfilter, tx => {
  const table = tableOf(tx, fairleadBridge)
  const all = [CHECKED, ALLOWED].flatMap(({ name, type }) =>
    elements(host.netfilter, fairleadBridge, name, type).map(({ key, comment: text }) => ({ name, type, key, text })))
  const stale = all.filter(({ text }) => isStale(text))
  if (stale.length === all.length) return table.delete()
  for (const { name, type, key } of stale) table.set(name, type).remove(key)
})

const removeOwn = (host: Namespace, attachment: Attachment, mac: string | undefined): void => {
  const link = hostLinkName(attachment)
  const isIn = ({ name, type }: typeof CHECKED | typeof ALLOWED, key: string): boolean =>
    findElement(host.netfilter, fairleadBridge, name, type, key) !== undefined
  if (!isIn(CHECKED, link)) return
  if (mac === undefined || !isIn(ALLOWED, pairOf(attachment, mac))) {
    const own = comment(attachment)
    return removeWhere(host, text => text === own)
  }
  // Gone in the meantime is as good: another DEL of the same attachment was faster.
  tolerate(['ENOENT'], () => revise(host.netfilter, tx => {
    const table = tableOf(tx, fairleadBridge)
    const isLast = elements(host.netfilter, fairleadBridge, CHECKED.name, CHECKED.type).every(({ key }) => key === link)
    if (isLast) return table.delete()
    table.set(CHECKED.name, CHECKED.type).remove(link)
    table.set(ALLOWED.name, ALLOWED.type).remove(pairOf(attachment, mac))
  }))
}

/** Where the Go suite keeps its chains: pkg/link/spoofcheck.go. */
const reference: TableName = { family: 'bridge', table: 'nat' }
const REFERENCE_BASE = 'PREROUTING'

const referenceChain = ({ containerId, ifName }: Attachment): string => `cni-br-iface-${containerId}-${ifName}`
const referenceComment = ({ containerId, ifName }: Attachment): string => `macspoofchk-${containerId}-${ifName}`

/** Its chain lets the address through, drops the rest, and is jumped to. */
const REFERENCE_USES = 3

/** Whether the chain is there that drops an attachment's foreign frames. */
const hasReference = (host: Namespace, attachment: Attachment): boolean =>
  (findChain(host.netfilter, reference, `${referenceChain(attachment)}-mac`)?.use ?? 0) >= REFERENCE_USES

/** Removes the two chains of an attachment and the rule that leads there. */
const removeReference = (host: Namespace, attachment: Attachment): void => revise(host.netfilter, tx => {
  const table = tableOf(tx, reference)
  for (const { comment, handle } of rules(host.netfilter, reference, REFERENCE_BASE))
    if (comment === referenceComment(attachment)) table.chain(REFERENCE_BASE).deleteRule(handle)
  const chain = referenceChain(attachment)
  for (const name of [chain, `${chain}-mac`])
    if (findChain(host.netfilter, reference, name)) table.chain(name).delete()
})

/**
 * Removes the check of an attachment, whichever program set it up; fine when there is none.
 * @param mac the container's hardware address if known; spares a search through those of all containers
 * @throws the first error, after everything has been tried
 */
export const remove = (host: Namespace, attachment: Attachment, mac?: string): void => {
  const present = tables(host.netfilter)
  runAll([
    () => { if (present.has(fullName(fairleadBridge))) removeOwn(host, attachment, mac) },
    () => { if (present.has(fullName(reference))) removeReference(host, attachment) },
  ])
}

/** Sees that the attachment is bound to `mac`, by us or by the Go suite. @throws Error naming what is missing */
export const check = (host: Namespace, attachment: Attachment, mac: string): void => {
  const link = hostLinkName(attachment)
  if (hasReference(host, attachment)) return
  const missing = (what: string, remedy: string): Error =>
    new Error(`macspoofchk: ${what} is missing in nftables table bridge fairlead; ${remedy}`)
  for (const [{ name, type }, key] of [[CHECKED, link], [ALLOWED, pairOf(attachment, mac)]] as const)
    if (!findElement(host.netfilter, fairleadBridge, name, type, key))
      throw missing(`${key} in set ${name}`, 'add the container again')
  if (!rules(host.netfilter, fairleadBridge, BASE).some(({ expressions }) => looksUp(expressions, ALLOWED.name)))
    throw missing(`the rule of chain ${BASE}`, 'delete the table and add the containers again')
}

/** Removes what is left of a network's attachments that are not among `valid`. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  if (!tables(host.netfilter).has(fullName(fairleadBridge))) return
  const start = networkComment(network)
  const kept = new Set(valid.map(comment))
  removeWhere(host, text => text.startsWith(start) && !kept.has(text))
}
