// Masquerading with the chains and rule texts of the Go suite: pkg/ip/ipmasq_iptables_linux.go. Written by one
// iptables-restore for each family; masquerade-iptables-removal.ts takes it away again.
import { formatIp, type Family } from '#netlink/ip.ts'
import type { Attachment } from './attachment.ts'
import { change, readTable, restore } from './iptables.ts'
import { chainName, remarkOf } from './iptables-chain.ts'
import { quoted, undeclared } from './iptables-rule.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix, subnetOf, type Prefix } from './prefix.ts'

export const BASE = 'POSTROUTING'
const multicast = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' } as const

/** The rules of an attachment, letter by letter as iptables-save prints them. */
const ruleTexts = (attachment: Attachment, prefixes: readonly Prefix[]): string[] => {
  const chain = chainName(attachment)
  const remark = `-m comment --comment ${quoted(remarkOf(attachment))}`
  return [
    ...prefixes.map(prefix => `-A ${chain} -d ${subnetOf(prefix)} ${remark} -j ACCEPT`),
    `-A ${chain} ! -d ${multicast[prefixes[0]!.family]} ${remark} -j MASQUERADE`,
    ...prefixes.map(({ bytes }) => `-A ${BASE} -s ${formatIp(bytes)}/${8 * bytes.length} ${remark} -j ${chain}`),
  ]
}

const eachFamily = (addresses: readonly string[], act: (family: Family, prefixes: readonly Prefix[]) => void): void => {
  const prefixes = addresses.map(parsePrefix).filter(prefix => prefix !== undefined)
  for (const family of ['ipv4', 'ipv6'] as const) {
    const own = prefixes.filter(prefix => prefix.family === family)
    if (own.length > 0) act(family, own)
  }
}

/** @throws Error with the words of iptables-restore */
export const add = (host: Namespace, attachment: Attachment, addresses: readonly string[]): void =>
  eachFamily(addresses, (family, prefixes) => {
    const place = { family, table: 'nat' } as const
    const lines = ruleTexts(attachment, prefixes)
    // -N fails when the chain is there: another interface in the same network, or an ADD that was killed.
    if (restore(host, place, [`-N ${chainName(attachment)}`, ...lines]).ok) return
    const present = readTable(host, place)
    const chains = undeclared([chainName(attachment)], present).map(chain => `-N ${chain}`)
    change(host, place, [...chains, ...lines.filter(line => !present.includes(line))])
  })

/** @throws Error naming the first rule that is missing */
export const check = (host: Namespace, attachment: Attachment, addresses: readonly string[]): void =>
  eachFamily(addresses, (family, prefixes) => {
    const present = readTable(host, { family, table: 'nat' })
    const gone = ruleTexts(attachment, prefixes).find(line => !present.includes(line))
    if (gone !== undefined)
      throw new Error(`masquerade: ${family} rule "${gone}" is missing in iptables table nat; add the container again`)
  })
