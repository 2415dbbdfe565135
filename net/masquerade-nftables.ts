// Masquerading in our own table: two hash maps from container addresses to the chain of their subnet. A packet costs
// one lookup and a change a few elements, however many containers there are.
import { tolerate } from '#sys/errno.ts'
import { sleep } from '#sys/sleep.ts'
import { ip, ip6 } from '#netlink/nftables/match.ts'
import {
  chains, elements, findChain, findElement, looksUp, revise, rules, type ChainInfo,
} from '#netlink/nftables/query.ts'
import { goto, masquerade, returns, snatTo } from '#netlink/nftables/statement.ts'
import { commit, type ElementSet, type Transaction } from '#netlink/nftables/transaction.ts'
import { familyOf, formatIp, parseIp, type Family } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'
import { parsePrefix, subnetOf } from './prefix.ts'
import { addTable, bases, fairlead, giveUpTable, tableOf } from './table.ts'

const maps = {
  ipv4: { name: 'masquerade4', type: 'ipv4_addr', match: ip, multicast: '224.0.0.0/4' },
  ipv6: { name: 'masquerade6', type: 'ipv6_addr', match: ip6, multicast: 'ff00::/8' },
} as const

/** What the names of the subnets' chains begin with. */
const SUBNET_CHAIN = 'from_'
/** The rules of a subnet's chain: to the subnet, to multicast groups, to everywhere else. */
const SUBNET_RULES = 3
/** One for each map. */
const BASE_RULES = 2

/** An address to masquerade and the chain that does it. nft takes no colons in names. */
interface Member {
  readonly family: Family
  readonly key: string
  readonly subnet: string
  readonly chain: string
  readonly source: string | undefined
}

type Sources = Readonly<Partial<Record<Family, string | undefined>>>

const memberOf = (address: string, sources: Sources): Member => {
  const prefix = parsePrefix(address)
  if (prefix === undefined) throw new RangeError(`${address} is no address with prefix length`)
  const subnet = subnetOf(prefix)
  const source = sources[prefix.family]
  const chain = `${SUBNET_CHAIN}${subnet}${source ? `_as_${source}` : ''}`.replaceAll(':', '-')
  return { family: prefix.family, key: formatIp(prefix.bytes), subnet, chain, source }
}

/** The part that containers share, written so that it does not matter what of it is there already. */
const addShared = (tx: Transaction, members: readonly Member[]): void => {
  const table = addTable(tx, fairlead)
  const base = table.chain(bases.masquerade).add({ type: 'nat', hook: 'postrouting', priority: 'srcnat' }).flush()
  for (const { name, type, match } of Object.values(maps)) {
    table.map(name, type).add({ comment: 'containers whose address is hidden, and the chain of their subnet' })
    base.rule(match.saddr.vmap(name))
  }
  for (const { family, chain, subnet, source } of members) {
    const { match, multicast } = maps[family]
    table.chain(chain).add({ comment: subnet }).flush()
      .rule(match.daddr.in(subnet), returns)
      .rule(match.daddr.in(multicast), returns)
      .rule(source ? snatTo(source) : masquerade)
  }
}

const mapOf = (tx: Transaction, { family }: Member): ElementSet =>
  tableOf(tx, fairlead).map(maps[family].name, maps[family].type)

/**
 * The usual case, which is as small as can be: the subnet has been in use before, and nothing stale holds the address.
 */
const addToSubnet = (host: Namespace, comment: string, members: readonly Member[]): boolean => {
  const uses = (chain: string): number => findChain(host.netfilter, fairlead, chain)?.use ?? 0
  const ready = members.every(({ chain }) => uses(chain) >= SUBNET_RULES) && uses(bases.masquerade) >= BASE_RULES
  return ready && tolerate(['EEXIST', 'ENOENT'], () => {
    commit(host.netfilter, tx => {
      for (const member of members)
        mapOf(tx, member).insert(member.key, goto(member.chain), { comment, exclusive: true })
    })
    return true
  }) === true
}

/** @param comment names the attachment */
export const add = (host: Namespace, comment: string, addresses: readonly string[], sources: Sources): void => {
  const members = addresses.map(address => memberOf(address, sources))
  if (addToSubnet(host, comment, members)) return
  revise(host.netfilter, tx => {
    addShared(tx, members)
    for (const member of members) {
      const { name, type } = maps[member.family]
      const map = mapOf(tx, member)
      if (findElement(host.netfilter, fairlead, name, type, member.key)) map.remove(member.key)
      map.insert(member.key, goto(member.chain), { comment })
    }
  })
}

/**
 * The addresses of a family as the map has them; what is none is left out, as DEL has to cope with any result of the
 * past.
 */
const keysOf = (addresses: readonly string[], family: Family): string[] =>
  addresses.filter(address => familyOf(address) === family).map(address => parseIp(address.split('/')[0]!))
    .filter(bytes => bytes !== undefined).map(formatIp)

/**
 * Removes the elements whose comment `isStale`, and with the last of a subnet its chain, and with the last of all the
 * table.
 * @param addresses where to look; without them both maps are searched
 * @returns whether there were any
 */
export const remove = (
  host: Namespace, isStale: (comment: string) => boolean, addresses?: readonly string[],
): boolean => {
  let found = false
  revise(host.netfilter, tx => {
    const table = tableOf(tx, fairlead)
    const leaving = new Map<string, number>()
    for (const family of ['ipv4', 'ipv6'] as const) {
      const { name, type } = maps[family]
      const candidates = addresses === undefined ? elements(host.netfilter, fairlead, name, type)
        : keysOf(addresses, family).map(key => findElement(host.netfilter, fairlead, name, type, key))
      for (const element of candidates) {
        if (element === undefined || !isStale(element.comment)) continue
        table.map(name, type).remove(element.key)
        const chain = element.verdict?.chain
        if (chain !== undefined) leaving.set(chain, (leaving.get(chain) ?? 0) + 1)
      }
    }
    found = leaving.size > 0
    const isLast = ({ name, use }: ChainInfo): boolean => use === SUBNET_RULES + (leaving.get(name) ?? 0)
    const emptied = [...leaving.keys()].some(name => {
      const chain = findChain(host.netfilter, fairlead, name)
      return chain !== undefined && isLast(chain)
    })
    if (!emptied) return
    // Listed only now, and all of them: one may have been left behind by an address that went to another subnet.
    const unused = chains(host.netfilter, fairlead)
      .filter(chain => chain.name.startsWith(SUBNET_CHAIN) && isLast(chain)).map(({ name }) => name)
    for (const name of unused) table.chain(name).delete()
    giveUpTable(host, tx, unused)
  })
  return found
}

const checkOnce = (host: Namespace, comment: string, addresses: readonly string[], sources: Sources): void => {
  const fault = (what: string): Error =>
    new Error(`masquerade: in nftables table inet fairlead ${what}; add the container again`)
  const base = rules(host.netfilter, fairlead, bases.masquerade)
  for (const { family, key, chain } of addresses.map(address => memberOf(address, sources))) {
    const { name, type } = maps[family]
    const element = findElement(host.netfilter, fairlead, name, type, key)
    if (element === undefined) throw fault(`${key} is not in map ${name}`)
    const owner = element.comment || 'nobody'
    if (owner !== comment) throw fault(`${key} of map ${name} belongs to ${owner}, not to ${comment}`)
    if (element.verdict?.chain !== chain) throw fault(`${key} of map ${name} does not lead to chain ${chain}`)
    if ((findChain(host.netfilter, fairlead, chain)?.use ?? 0) <= SUBNET_RULES)
      throw fault(`chain ${chain} has lost rules`)
    if (!base.some(({ expressions }) => looksUp(expressions, name)))
      throw fault(`chain ${bases.masquerade} has no rule for map ${name}`)
  }
}

const CHECK_ATTEMPTS = 5
const CHECK_PAUSE_MS = 3

/** @throws Error naming what is missing */
export const check = (host: Namespace, comment: string, addresses: readonly string[], sources: Sources): void => {
  // What is read while somebody else's transaction is being prepared may be off; a fault lasts.
  for (let attempt = 1; ; attempt++) {
    try {
      return checkOnce(host, comment, addresses, sources)
    } catch (fault) {
      if (attempt === CHECK_ATTEMPTS) throw fault
      sleep(CHECK_PAUSE_MS)
    }
  }
}
