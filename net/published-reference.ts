// Published ports as the Go suite has them since 1.6 with nftables: plugins/meta/portmap/portmap_nftables.go. Only
// removed, never written. The comment of a rule is the container's id alone, so what belongs to which network is told
// by the address that the rule leads to, where one is known.
import { familyOf, formatIp, parseIp, type Family } from '#netlink/ip.ts'
import { encodeKey, type KeyType } from '#netlink/nftables/datatype.ts'
import { chains, revise, rules, type RuleInfo, type TableName } from '#netlink/nftables/query.ts'
import type { Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping, Publication } from './publication.ts'
import { fullName, tableOf } from './table.ts'

const TABLE = 'cni_hostport'
const hosts = {
  ipv4: { name: { family: 'ip', table: TABLE }, type: 'ipv4_addr', size: 4 },
  ipv6: { name: { family: 'ip6', table: TABLE }, type: 'ipv6_addr', size: 16 },
} as const satisfies Record<Family, { readonly name: TableName; readonly type: KeyType; readonly size: number }>

/** Before 1.9 the second one held what is published on one address. */
const published = ['hostports', 'hostip_hostports'] as const
const MASQUERADING = 'masquerading'
/** Chains that lead to the rules; `input` is of 1.6.0. Without rules that they lead to they say nothing. */
const frame: readonly string[] = ['hostports_all', 'prerouting', 'output', 'input']
const listening = ['prerouting', 'output'] as const

const familiesAmong = (present: ReadonlySet<string>): Family[] =>
  (['ipv4', 'ipv6'] as const).filter(family => present.has(fullName(hosts[family].name)))

/** Whether any of it is on this host. @param present the names of all tables of the host */
export const isThere = (present: ReadonlySet<string>): boolean => familiesAmong(present).length > 0

const hex = (parts: readonly Uint8Array[]): string => parts.map(part => Buffer.from(part).toString('hex')).join('')

/** What a rule compares packets with, one after another, and what it puts in place of that. */
const parts = ({ expressions }: RuleInfo): Readonly<Record<'compared' | 'given', readonly Uint8Array[]>> => ({
  compared: expressions.flatMap(part => part.kind === 'cmp' && part.data ? [part.data] : []),
  given: expressions.flatMap(part => part.kind === 'immediate' && part.data?.value ? [part.data.value] : []),
})

const saying = (rule: RuleInfo): string => `${hex(parts(rule).compared)} ${hex(parts(rule).given)}`

const portOf = (number: number): Uint8Array => encodeKey('inet_service', `${number}`)

/** What the rule of a mapping compares: `ip daddr HOST tcp dport PORT`. */
const comparisons = ({ protocol, hostIp, hostPort, containerIp }: Mapping): string => hex([
  ...hostIp === undefined ? [] : [encodeKey(hosts[familyOf(containerIp)].type, hostIp)],
  encodeKey('inet_proto', protocol), portOf(hostPort),
])

/** All that it says: `… dnat to CONTAINER:PORT`. */
const sayingOf = (mapping: Mapping): string => {
  const { containerIp, containerPort } = mapping
  const target = [encodeKey(hosts[familyOf(containerIp)].type, containerIp), portOf(containerPort)]
  return `${comparisons(mapping)} ${hex(target)}`
}

/** The container's address: where a rule leads, or for masquerading the last thing that it compares. */
const addressOf = (rule: RuleInfo, family: Family): string | undefined => {
  const { size } = hosts[family]
  const { compared, given } = parts(rule)
  const bytes = given[0] ?? compared.at(-1)
  return bytes !== undefined && bytes.length >= size ? formatIp(bytes.slice(-size)) : undefined
}

type Judge = (containerId: string, address: string | undefined) => boolean

/** Deletes the rules that `isStale`, and the table when none is left. Whoever adds to it makes it in the same step. */
const removeWhere = (host: Namespace, present: ReadonlySet<string>, isStale: Judge): void => {
  for (const family of familiesAmong(present)) revise(host.netfilter, tx => {
    const { name } = hosts[family]
    const table = tableOf(tx, name)
    let left = 0
    for (const chain of [...published, MASQUERADING]) for (const rule of rules(host.netfilter, name, chain)) {
      if (isStale(rule.comment, addressOf(rule, family))) table.chain(chain).deleteRule(rule.handle)
      else left++
    }
    const known = new Set([...published, MASQUERADING, ...frame])
    if (left === 0 && chains(host.netfilter, name).every(({ name }) => known.has(name))) table.delete()
  })
}

const plain = (addresses: readonly string[]): ReadonlySet<string> => new Set(
  addresses.map(address => parseIp(address.split('/')[0]!)).filter(bytes => bytes !== undefined).map(formatIp))

/**
 * Removes the rules of an attachment. Without addresses all of the container's go, as the Go suite does: it keeps no
 * network apart.
 * @param present the names of all tables of the host
 * @param addresses with or without prefix length
 */
export const remove = (
  host: Namespace, present: ReadonlySet<string>, { containerId }: Attachment, addresses?: readonly string[],
): void => {
  const own = addresses && plain(addresses)
  removeWhere(host, present, (id, address) =>
    id === containerId && (own === undefined || address === undefined || own.has(address)))
}

/** Whether each mapping has its rule, and packets come to it. */
export const covers = (host: Namespace, { attachment, mappings }: Publication): boolean =>
  (['ipv4', 'ipv6'] as const).every(family => {
    const wanted = mappings.filter(({ containerIp }) => familyOf(containerIp) === family).map(sayingOf)
    if (wanted.length === 0) return true
    const { name } = hosts[family]
    const said = new Set(published.flatMap(chain => rules(host.netfilter, name, chain))
      .filter(({ comment }) => comment === attachment.containerId).map(saying))
    return wanted.every(text => said.has(text)) &&
      listening.every(chain => rules(host.netfilter, name, chain).length > 0)
  })

/** The id of another container than `own` that has published a port which is wanted, on all addresses or the same. */
export const holderOf = (host: Namespace, mapping: Mapping, own: string): string | undefined => {
  const onAll = comparisons({ ...mapping, hostIp: undefined })
  return published.flatMap(chain => rules(host.netfilter, hosts[familyOf(mapping.containerIp)].name, chain))
    .find(rule => {
      const compared = hex(parts(rule).compared)
      const isInTheWay = mapping.hostIp === undefined ? compared.endsWith(onAll)
        : [onAll, comparisons(mapping)].includes(compared)
      return isInTheWay && rule.comment !== own
    })?.comment
}

/**
 * Removes what is certainly stale: rules of containers that are not among `valid` and lead to an address that one of
 * these has now. Of others nothing tells which network they belong to.
 * @param addresses of the network's valid attachments, as far as they are known from elsewhere
 */
export const collect = (
  host: Namespace, present: ReadonlySet<string>, valid: readonly Attachment[], addresses: readonly string[] = [],
): void => {
  const living = new Set(valid.map(({ containerId }) => containerId))
  const taken = new Set(plain(addresses))
  for (const family of familiesAmong(present))
    for (const chain of published) for (const rule of rules(host.netfilter, hosts[family].name, chain)) {
      const address = addressOf(rule, family)
      if (address !== undefined && living.has(rule.comment)) taken.add(address)
    }
  removeWhere(host, present, (id, address) => !living.has(id) && address !== undefined && taken.has(address))
}
