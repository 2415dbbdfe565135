// The nftables table of published ports: maps from ports of the host to ports of containers, and the few rules that
// look them up. Only the first packet of a connection meets them, and it costs the same however many ports there are.
import type { Family } from '#netlink/ip.ts'
import { concat, ct, iifname, ip, ip6, isForHost, l4proto, th } from '#netlink/nftables/match.ts'
import { findChain, type TableName } from '#netlink/nftables/query.ts'
import { dnatToMapped, drop, jump } from '#netlink/nftables/statement.ts'
import type { Hook, Transaction } from '#netlink/nftables/transaction.ts'
import type { Namespace } from './namespace.ts'
import type { HostPort, Mapping } from './publication.ts'
import { addTable } from './table.ts'

/** A table by itself: it goes with the last attachment that publishes something. */
export const published: TableName = { family: 'inet', table: 'fairlead_published' }

/** The maps of a family: ports of one address of the host, ports of all, and who is behind them. */
export const maps = {
  ipv4: {
    exact: { name: 'published4', type: 'inet_proto . ipv4_addr . inet_service', of: 'ipv4_addr . inet_service' },
    any: { name: 'published4_any', type: 'inet_proto . inet_service', of: 'ipv4_addr . inet_service' },
    containers: { name: 'containers4', type: 'ipv4_addr' },
    match: ip, nat: 'ip',
  },
  ipv6: {
    exact: { name: 'published6', type: 'inet_proto . ipv6_addr . inet_service', of: 'ipv6_addr . inet_service' },
    any: { name: 'published6_any', type: 'inet_proto . inet_service', of: 'ipv6_addr . inet_service' },
    containers: { name: 'containers6', type: 'ipv6_addr' },
    match: ip6, nat: 'ip6',
  },
} as const

export const families = ['ipv4', 'ipv6'] as const satisfies Family[]

/** An element of one of the maps of ports. */
export interface Entry {
  readonly family: Family
  readonly map: 'exact' | 'any'
  readonly key: string
  readonly value: string
}

/** The element of a port of the host. */
export const placeOf = ({ protocol, hostIp, hostPort }: HostPort): Pick<Entry, 'map' | 'key'> => hostIp === undefined
  ? { map: 'any', key: `${protocol} . ${hostPort}` }
  : { map: 'exact', key: `${protocol} . ${hostIp} . ${hostPort}` }

/** The container's end of a mapping, as the maps have it. */
export const valueOf = ({ containerIp, containerPort }: Mapping): string => `${containerIp} . ${containerPort}`

/**
 * Every attachment that publishes something, by the name that its link on the host has or would have. The comment says
 * who it is and how many elements it has in the maps of ports.
 */
export const attachments = { name: 'attachments', type: 'ifname' } as const

const LONGEST_COMMENT = 128

/** The comment of an attachment's element there; a very long one has no room for the number. */
export const registrationOf = (owner: string, ports: number): string => {
  const text = `${owner} ${ports}`
  return text.length > LONGEST_COMMENT ? owner : text
}

/** The two parts of such a comment; `ports` is undefined when it does not say. */
export const readRegistration = (comment: string): { readonly owner: string; readonly ports: number | undefined } => {
  const [owner = '', ports] = comment.split(' ')
  return { owner, ports: ports === undefined ? undefined : Number(ports) }
}

/**
 * Chains without rules, whose use counts say how many attachments there are: those whose ports are all published on
 * every address and without conditions, and the others.
 */
export const counters = { plain: 'plain', special: 'special' } as const

/** Chains that lead to those of attachments that have their own: before the maps are asked, and after. */
export const dispatchers = { conditional: 'conditional', shared: 'shared' } as const
export type Dispatcher = keyof typeof dispatchers

/**
 * Behind the chains that others have at dstnat (-100) and firewalld has at -90: a published port must not take away
 * what they lead to a service (CVE-2019-9946), and of chains at one priority the latest comes first.
 */
const AFTER_OTHERS = -80

const hooks = {
  prerouting: { type: 'nat', hook: 'prerouting', priority: AFTER_OTHERS },
  output: { type: 'nat', hook: 'output', priority: AFTER_OTHERS },
  postrouting: { type: 'nat', hook: 'postrouting', priority: 'srcnat' },
  guard: { type: 'filter', hook: 'prerouting', priority: 'raw' },
} as const satisfies Record<string, Hook>

/** How often each chain is used when nothing is missing: its rules, and what leads to it. */
const leastUses = { published: 8, translated: 3, guard: 2 } as const

/** How often a chain is used; 0 when it is not there. */
export const uses = (host: Namespace, chain: string): number => findChain(host.netfilter, published, chain)?.use ?? 0

/** The first of the shared chains that has lost something, undefined when none has. */
export const incomplete = (host: Namespace): string | undefined =>
  Object.entries(leastUses).find(([chain, least]) => uses(host, chain) < least)?.[0]

/** What all attachments share, written so that it does not matter what of it is there already. */
export const addShared = (tx: Transaction): void => {
  const table = addTable(tx, published)
  table.map(attachments.name, attachments.type).add({ comment: 'who publishes ports' })
  for (const name of [...Object.values(counters), ...Object.values(dispatchers)]) table.chain(name).add()
  const lookups = table.chain('published').add().flush().rule(jump(dispatchers.conditional))
  const translated = table.chain('translated').add().flush()
  for (const family of families) {
    const { exact, any, containers, match, nat } = maps[family]
    table.valueMap(exact.name, exact.type, exact.of).add({ comment: 'ports of one address of the host' })
    table.valueMap(any.name, any.type, any.of).add({ comment: 'ports of all addresses of the host' })
    table.map(containers.name, containers.type).add({ comment: 'who is behind the ports, and through which link' })
    lookups.rule(concat(l4proto, match.daddr, th.dport).map(exact.name), dnatToMapped(nat))
      .rule(concat(l4proto, th.dport).map(any.name), dnatToMapped(nat))
    translated.rule(match.daddr.vmap(containers.name))
  }
  lookups.rule(jump(dispatchers.shared))
  // What passes through to another machine stays as it is: CVE-2025-67499.
  for (const name of ['prerouting', 'output'] as const)
    table.chain(name).add(hooks[name]).flush().rule(isForHost, jump('published'))
  table.chain('postrouting').add(hooks.postrouting).flush().rule(ct.isTranslated, jump('translated'))
  // route_localnet has the kernel take in what it drops otherwise: CVE-2020-8558.
  // Answers to connections from there carry the masqueraded address, so nothing on the wire is of it either.
  table.chain('guard').add(hooks.guard).flush()
    .rule(ip.daddr.in('127.0.0.0/8'), iifname.isNot('lo'), drop)
    .rule(ip.saddr.in('127.0.0.0/8'), iifname.isNot('lo'), drop)
}
