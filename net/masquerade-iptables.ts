// Masquerading with the chains and rule texts of the Go suite: pkg/ip/ipmasq_iptables_linux.go. Written by one
// iptables-restore for each family; masquerade-iptables-removal.ts takes it away again.
import { sha512 } from '#sys/digest.ts'
import { formatIp, type Family } from '#netlink/ip.ts'
import type { Attachment } from './attachment.ts'
import { natLines, quoted, readNat, restore, restoreNat } from './iptables.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix, subnetOf, type Prefix } from './prefix.ts'

export const BASE = 'POSTROUTING'
const multicast = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' } as const

/**
 * utils.MustFormatChainNameWithPrefix of the Go suite: the interface plays no part, so two in one network share a
 * chain.
 */
export const chainName = ({ network, containerId }: Attachment): string =>
  `CNI-${sha512(network + containerId).slice(0, 24)}`

/** What the comments of a network's rules begin with: utils.FormatComment of the Go suite. */
export const networkStart = (network: string): string => `name: "${network}" id: `

const commentOf = ({ network, containerId }: Attachment): string => `${networkStart(network)}"${containerId}"`

/** The rules of an attachment, letter by letter as iptables-save prints them. */
const ruleTexts = (attachment: Attachment, prefixes: readonly Prefix[]): string[] => {
  const chain = chainName(attachment)
  const remark = `-m comment --comment ${quoted(commentOf(attachment))}`
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
    const lines = ruleTexts(attachment, prefixes)
    // -N fails when the chain is there: another interface in the same network, or an ADD that was killed.
    if (restore(host, family, natLines([`-N ${chainName(attachment)}`, ...lines])).ok) return
    const present = readNat(host, family)
    const declared = present.some(line => line.startsWith(`:${chainName(attachment)} `))
    const missing = lines.filter(line => !present.includes(line))
    restoreNat(host, family, [...declared ? [] : [`-N ${chainName(attachment)}`], ...missing])
  })

/** @throws Error naming the first rule that is missing */
export const check = (host: Namespace, attachment: Attachment, addresses: readonly string[]): void =>
  eachFamily(addresses, (family, prefixes) => {
    const present = readNat(host, family)
    const gone = ruleTexts(attachment, prefixes).find(line => !present.includes(line))
    if (gone !== undefined)
      throw new Error(`masquerade: ${family} rule "${gone}" is missing in iptables table nat; add the container again`)
  })
