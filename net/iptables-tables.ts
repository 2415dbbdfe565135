// The tables of iptables as the kernel shows them, without a child process: those of the nftables kind through netlink,
// and of the legacy kind whether there are any.
import { readText } from '#sys/file.ts'
import { text } from '#netlink/codec.ts'
import type { Family } from '#netlink/ip.ts'
import type { RuleInfo, TableName } from '#netlink/nftables/query.ts'
import { readTable, type Place } from './iptables.ts'
import type { Namespace } from './namespace.ts'
import { fullName } from './table.ts'

const families = { ipv4: 'ip', ipv6: 'ip6' } as const

/** A table of both families. */
export const places = (table: Place['table']): Place[] =>
  (['ipv4', 'ipv6'] as const).map(family => ({ family, table }))

/** Where iptables-nft keeps a table. */
export const tableName = ({ family, table }: Place): TableName => ({ family: families[family], table })

/** Those places of a table that iptables-nft has made. @param present the names of all tables of the host */
export const placesAmong = (present: ReadonlySet<string>, table: Place['table']): Place[] =>
  places(table).filter(place => present.has(fullName(tableName(place))))

/** The chain that a rule leads to. */
export const chainOf = ({ expressions }: RuleInfo): string | undefined => {
  const last = expressions.find(part => part.kind === 'immediate')
  return last?.kind === 'immediate' ? last.data?.verdict?.chain : undefined
}

/** The comment of a rule, wherever iptables or nft has put it. */
export const commentOf = ({ expressions, comment }: RuleInfo): string => {
  const match = expressions.find(part => part.kind === 'match' && part.name === 'comment')
  return match?.kind === 'match' && match.info ? text.decode(match.info) : comment
}

/** Where the kernel lists the tables of the legacy kind in the namespace of the thread. */
const lists: Record<Family, string> = {
  ipv4: '/proc/thread-self/net/ip_tables_names', ipv6: '/proc/thread-self/net/ip6_tables_names',
}

/** Whether the kernel has a table of the legacy kind. */
export const hasLegacy = (host: Namespace, { family, table }: Place): boolean =>
  host.run(() => readText(lists[family]))?.split('\n').includes(table) ?? false

/** Does something with the lines of iptables-legacy-save, for each family that has any. */
export const eachLegacy = (
  host: Namespace, table: Place['table'], act: (place: Place, lines: readonly string[]) => void,
): void => {
  for (const place of places(table)) {
    const lines = hasLegacy(host, place) ? readTable(host, place, 'legacy') : []
    if (lines.length > 0) act(place, lines)
  }
}
