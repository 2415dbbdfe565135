// Source NAT for containers: what leaves their subnet carries the host's address, and nothing within the subnet does.
// Native state is nftables in our own table; the chains of the Go suite are written on request and always removed.
import type { Family } from '#netlink/ip.ts'
import { tables } from '#netlink/nftables/query.ts'
import { comment, networkComment, type Attachment } from './attachment.ts'
import * as iptables from './masquerade-iptables.ts'
import * as chains from './masquerade-iptables-removal.ts'
import * as nftables from './masquerade-nftables.ts'
import * as reference from './masquerade-reference.ts'
import type { Namespace } from './namespace.ts'
import { runAll } from './steps.ts'
import { fairlead, fullName } from './table.ts'

/** The addresses that packets carry in place of that of the link by which they leave. Of the nftables backend only. */
export type Sources = Readonly<Partial<Record<Family, string | undefined>>>

/** Who writes the rules: we through netlink, or `iptables-restore` with the texts of the Go suite. */
export type Backend = 'nftables' | 'iptables'

/**
 * Has the addresses of an attachment masqueraded. What an earlier owner of an address left behind is replaced.
 * @param addresses with prefix length, `10.1.2.3/24`; both families at once
 * @throws NetlinkError, or Error with the words of iptables-restore
 */
export const add = (
  host: Namespace, attachment: Attachment, addresses: readonly string[], backend: Backend = 'nftables',
  sources: Sources = {},
): void =>
  backend === 'nftables'
    ? nftables.add(host, comment(attachment), addresses, sources)
    : iptables.add(host, attachment, addresses)

/**
 * Removes everything that masquerades for an attachment, whichever program and backend wrote it; fine when there is
 * nothing. Rules that a later owner of an address has put in place stay. Without `addresses` (with or without prefix
 * length) the attachment's are looked for; an empty list says that there are none. Belongs before the release of the
 * lease.
 * @param expected whether there should be something: when nothing is found under `addresses`, it is searched for
 * @throws the first error, after everything has been tried
 */
export const remove = (
  host: Namespace, attachment: Attachment, addresses?: readonly string[], expected = true,
): void => {
  const present = tables(host.netfilter)
  const own = comment(attachment)
  let found = false
  runAll([
    () => {
      if (!present.has(fullName(fairlead))) return
      found = nftables.remove(host, text => text === own, addresses)
      if (!found && expected && addresses !== undefined) found = nftables.remove(host, text => text === own)
    },
    () => { if (present.has(fullName(reference.table))) reference.remove(host, attachment) },
    () => chains.remove(host, present, attachment, addresses),
    // Each attachment has been set up once, by one backend: only what is not ours is worth a child process.
    () => { if (!found) chains.removeLegacy(host, attachment, addresses) },
  ])
}

/**
 * Sees that an attachment is masqueraded, as `backend` does it or as the Go suite had done it before an upgrade.
 * @throws Error naming what is missing
 */
export const check = (
  host: Namespace, attachment: Attachment, addresses: readonly string[], backend: Backend = 'nftables',
  sources: Sources = {},
): void => {
  const ways = {
    nftables: () => nftables.check(host, comment(attachment), addresses, sources),
    iptables: () => iptables.check(host, attachment, addresses),
  }
  try {
    ways[backend]()
  } catch (fault) {
    const present = tables(host.netfilter)
    if (present.has(fullName(reference.table)) && reference.covers(host, attachment, addresses)) return
    if (backend === 'nftables' && chains.areThere(host, present, attachment)) return ways.iptables()
    throw fault
  }
}

/**
 * Removes what is left of a network's attachments that are not among `valid`, whichever program and backend wrote it.
 * @throws the first error, after everything has been tried
 */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const present = tables(host.netfilter)
  const start = networkComment(network)
  const kept = new Set(valid.map(comment))
  const isStale = (text: string): boolean => text.startsWith(start) && !kept.has(text)
  runAll([
    () => { if (present.has(fullName(fairlead))) nftables.remove(host, isStale) },
    () => { if (present.has(fullName(reference.table))) reference.collect(host, network, valid) },
    () => chains.collect(host, present, network, valid),
    () => chains.collectLegacy(host, network, valid),
  ])
}
