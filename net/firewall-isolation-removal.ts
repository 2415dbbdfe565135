// Takes away the iptables rules that keep a bridge apart, once it has no ports any more: the Go suite leaves them, and
// the next network with a bridge of that name has them.
import { text } from '#netlink/codec.ts'
import { revise, rules, type RuleInfo } from '#netlink/nftables/query.ts'
import { ISOLATION, isolate, stages } from './firewall-iptables.ts'
import { change, type Place } from './iptables.ts'
import { deletion, rulesOfChain } from './iptables-rule.ts'
import { commentOf, placesAmong, tableName } from './iptables-tables.ts'
import type { Namespace } from './namespace.ts'
import { tableOf } from './table.ts'

/** A rule of isolation: the bridge that it is about, none for the last of a chain, and what deletes it. */
interface Found<T> { readonly bridge: string | undefined; readonly isolating: boolean; readonly rule: T }

/**
 * Whether a bridge has no ports but those of an attachment that leaves. What is no bridge is the container's own link.
 * @param leaving names of the attachment's links
 */
const isUnused = (host: Namespace, name: string, leaving: ReadonlySet<string>): boolean => {
  const link = host.link.find(name)
  if (link === undefined) return true
  if (link.info.kind !== 'bridge') return leaving.has(name)
  return host.link.list({ master: link.index }).every(port => leaving.has(port.name))
}

/**
 * Removes the rules of bridges that are not in use, and looks again: a container that has joined in between, relying on
 * the rules, can be seen by then.
 */
const removeUnused = <T>(
  host: Namespace, place: Place, leaving: ReadonlySet<string>, found: readonly Found<T>[],
  remove: (rules: readonly T[]) => void,
): void => {
  const bridges = [...new Set(found.map(({ bridge }) => bridge).filter(bridge => bridge !== undefined))]
  const unused = bridges.filter(bridge => isUnused(host, bridge, leaving))
  if (unused.length === 0) return
  remove(found.filter(({ bridge }) => bridge !== undefined && unused.includes(bridge)).map(({ rule }) => rule))
  for (const name of unused.filter(bridge => !isUnused(host, bridge, leaving)))
    isolate(host, place, name, found.some(({ bridge, isolating }) => bridge === name && isolating)
      ? 'isolated' : 'same-bridge')
}

/** The names of links that a rule compares; iptables gives each a NUL at its end. */
const linksOf = ({ expressions }: RuleInfo): string[] =>
  expressions.flatMap(part => part.kind === 'cmp' && part.data ? [text.decode(part.data)] : [])

const drops = ({ expressions }: RuleInfo): boolean =>
  expressions.some(part => part.kind === 'immediate' && part.data?.verdict?.code === 'drop')

/** In the tables of iptables-nft, as far as these are `present`. */
export const removeIsolation = (
  host: Namespace, present: ReadonlySet<string>, leaving: ReadonlySet<string>,
): void => {
  for (const place of placesAmong(present, 'filter')) {
    const table = tableName(place)
    const found = stages.flatMap(chain => rules(host.netfilter, table, chain))
      .filter(rule => commentOf(rule).startsWith(ISOLATION))
      .map(rule => ({ bridge: linksOf(rule)[0], isolating: linksOf(rule).length > 1 && drops(rule), rule }))
    removeUnused(host, place, leaving, found, stale => {
      const handles = new Set(stale.map(({ handle }) => handle))
      revise(host.netfilter, tx => {
        for (const { chain, handle } of stages.flatMap(chain => rules(host.netfilter, table, chain)))
          if (handles.has(handle)) tableOf(tx, table).chain(chain).deleteRule(handle)
      })
    })
  }
}

/** In a table of iptables-legacy. @param lines of iptables-save */
export const removeLegacyIsolation = (
  host: Namespace, place: Place, lines: readonly string[], leaving: ReadonlySet<string>,
): void => {
  const found = stages.flatMap(chain => rulesOfChain(lines, chain)).filter(line => line.includes(ISOLATION))
    .map(rule => ({
      bridge: / -[io] (\S+) /.exec(rule)?.[1], isolating: / -i \S+ -o .* -j DROP$/.test(rule), rule,
    }))
  removeUnused(host, place, leaving, found, stale => change(host, place, stale.map(deletion), 'legacy'))
}
