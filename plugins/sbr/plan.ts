// Which rules and routes an interface is to have, as a function of what there is.
import { invalidConfig } from '#cni/errors.ts'
import type { IpConfig, Result } from '#cni/result.ts'
import { canonicalPrefix, parsePrefix, subnetOf, type Prefix } from '#net/prefix.ts'
import { familyOf, formatIp, parseIp, type Family } from '#netlink/ip.ts'
import { scope, type Route } from '#netlink/route/route.ts'
import type { Rule, RuleInfo } from '#netlink/route/rule.ts'
import type { Config } from './config.ts'

export const MAIN = 254 // RT_TABLE_MAIN of include/uapi/linux/rtnetlink.h
const FIRST_TABLE = 100

const anywhere: Readonly<Record<Family, string>> = { ipv4: '0.0.0.0/0', ipv6: '::/0' }

/** An address by itself, `10.1.2.3/32`, as rules have it. */
export const alone = (address: string): string => {
  const [text = ''] = address.split('/')
  return `${formatIp(parseIp(text)!)}/${familyOf(text) === 'ipv4' ? 32 : 128}`
}

/** The addresses of a result that are an interface's. */
export const ownIps = ({ ips, interfaces }: Result, ifName: string, netns: string): readonly IpConfig[] =>
  ips.filter(ip => {
    const entry = ip.interface === undefined ? undefined : interfaces[ip.interface]
    const isOurs = ip.interface === undefined || entry?.name === ifName && (!entry.sandbox || entry.sandbox === netns)
    return isOurs && parsePrefix(ip.address) !== undefined
  })

/** Refuses the kernel's own tables: everybody's packets look there, so a rule says nothing. @throws CniError 7 */
export const refuseReserved = ({ table }: Config): void => {
  if (table !== undefined && table >= MAIN - 1 && table <= MAIN + 1) {
    throw invalidConfig(`table ${table} is one of the kernel's own (253 to 255)`, 'choose another')
  }
}

/** The gateway of each family. @throws CniError 7 */
export const gatewaysOf = ({ gateways = [] }: Config): Partial<Record<Family, string>> => {
  const found: Partial<Record<Family, string>> = {}
  for (const gateway of gateways) {
    const bytes = parseIp(gateway)
    if (bytes === undefined) throw invalidConfig(`gateways has ${JSON.stringify(gateway)}`, 'write IP addresses')
    const family = familyOf(gateway)
    if (found[family] !== undefined) {
      throw invalidConfig(`gateways has ${found[family]} and ${gateway}`, 'give one gateway per family')
    }
    found[family] = formatIp(bytes)
  }
  return found
}

/** Tables from 100 on that no rule and no route speaks of. */
export const freeTables = (rules: readonly RuleInfo[], routes: readonly Route[], count: number): readonly number[] => {
  const used = new Set([...rules, ...routes].map(({ table }) => table))
  const free: number[] = []
  for (let table = FIRST_TABLE; free.length < count; table++) if (!used.has(table)) free.push(table)
  return free
}

const isWithin = (address: string | undefined, prefix: Prefix): boolean => {
  const bytes = address === undefined ? undefined : parseIp(address.split('/')[0]!)
  return bytes?.length === prefix.bytes.length && subnetOf({ ...prefix, bytes }) === subnetOf(prefix)
}

const isLinkLocal = ({ dst }: Route): boolean => dst === 'fe80::/64'

/** The way to a gateway has to be there before what leads through it. */
const byReach = (one: Route, other: Route): number => Number(one.via !== undefined) - Number(other.via !== undefined)

/** A rule of an earlier ADD: it leads from one of the addresses to a table with routes of the link. */
export const earlierRule = ({ ips, dev, routes, rules }: Situation): RuleInfo | undefined => {
  const sources = new Set(ips.map(({ address }) => alone(address)))
  const own = new Set(routes.filter(route => route.dev === dev && route.table !== MAIN).map(({ table }) => table))
  return rules.find(({ from, table }) => from !== undefined && sources.has(from) && own.has(table))
}

/** What makes the difference: rules and routes to come, routes of the main table to go. */
export interface Plan {
  readonly rules: readonly Rule[]
  readonly added: readonly Route[]
  readonly removed: readonly Route[]
}

interface Situation {
  readonly ips: readonly IpConfig[]
  readonly dev: number
  readonly routes: readonly Route[]
  readonly rules: readonly RuleInfo[]
}

/** The way to an address's own subnet, as the main table keeps it. */
const hint = ({ address }: IpConfig, dev: number): Route => ({
  dst: subnetOf(parsePrefix(address)!), dev, src: alone(address).split('/')[0], scope: scope.link, table: MAIN,
})

/** IPv4 routes to what is on the link have their source as the kernel makes them; IPv6 knows no such scope. */
const isHint = (route: Route): boolean => route.scope === scope.link && familyOf(route.dst) === 'ipv4'

/**
 * Each address gets a table of its own, with a default route and those of the interface's routes that belong to it.
 * Neighbours stay reachable on the link whatever the source, so link-local routes stay where they are.
 */
export const planFor = (config: Config, { ips, dev, routes, rules }: Situation): Plan => {
  const { table: given } = config
  refuseReserved(config)
  if (given !== undefined) {
    const wanted = ips.map(({ address }) => ({ from: alone(address), table: given }))
    const isThere = (rule: Rule): boolean =>
      rules.some(({ from, table }) => from === rule.from && table === rule.table)
    return { rules: wanted.filter(rule => !isThere(rule)), added: [], removed: [] }
  }
  const gateways = gatewaysOf(config)
  const own = routes.filter(route => route.dev === dev && route.table === MAIN && !isLinkLocal(route)).sort(byReach)
  const tables = freeTables(rules, routes, ips.length)
  const added = ips.flatMap((ip, i): Route[] => {
    const table = tables[i]!
    const prefix = parsePrefix(ip.address)!
    const via = gateways[prefix.family] ?? ip.gateway
    const isFree = ({ src, via }: Route): boolean => src === undefined && via === undefined
    const copies = own.filter(route => familyOf(route.dst) === prefix.family &&
      (isFree(route) || isWithin(route.src, prefix) || isWithin(route.via, prefix)))
    const others = via ? copies.filter(({ dst }) => dst !== anywhere[prefix.family]) : copies
    const standard = via ? [{ dst: anywhere[prefix.family], dev, via, table, onlink: true }] : []
    return [...others.map(route => ({ ...route, table })), ...standard]
  })
  const staying = config.addSourceHints ? own.filter(isHint) : []
  const hints = config.addSourceHints ? ips.map(ip => hint(ip, dev)) : []
  return {
    rules: ips.map(({ address }, i) => ({ from: alone(address), table: tables[i]! })),
    added: [...added, ...hints.filter(({ dst }) => !staying.some(route => route.dst === dst))],
    removed: own.filter(route => !staying.includes(route)),
  }
}

const RTPROT_BOOT = 3 // include/uapi/linux/rtnetlink.h: made by a program, not by the kernel

/** What there is before DEL. */
interface Aftermath {
  readonly dev: number
  /** Those of the attachment. */
  readonly rules: readonly Rule[]
  readonly routes: readonly Route[]
  /** The routes of the result; a default route that it does not have is one that ADD has made. */
  readonly stated: Result['routes']
}

/** The way back from a plan: the tables that the rules lead to give back the link's routes. */
export const wayBack = ({ dev, rules, routes, stated }: Aftermath): Pick<Plan, 'added' | 'removed'> => {
  const own = routes.filter(route => route.dev === dev)
  const tables = new Set(rules.map(({ table }) => table))
  const sources = new Set(rules.map(({ from }) => from))
  const moved = own.filter(({ table = MAIN }) => tables.has(table))
  const hints = own.filter(({ table, src, protocol }) =>
    table === MAIN && protocol === RTPROT_BOOT && src !== undefined && sources.has(alone(src)))
  const staying = own.filter(route => route.table === MAIN && !hints.includes(route))
  const returning = moved.flatMap((route): Route[] => {
    if (!route.dst.endsWith('/0')) return [route]
    return stated.filter(({ dst }) => canonicalPrefix(dst) === route.dst)
      .map(({ priority }) => ({ ...route, priority }))
  }).filter(({ dst, via, priority }) =>
    !staying.some(route => route.dst === dst && route.via === via && route.priority === priority))
  return {
    removed: [...hints, ...moved],
    added: returning.sort(byReach).map(route => ({ ...route, table: MAIN, onlink: route.via !== undefined })),
  }
}
