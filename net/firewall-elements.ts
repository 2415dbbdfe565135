// Elements of the firewall's table: whose they are, and where they are found.
import { formatIp, parseIp } from '#netlink/ip.ts'
import { elements, findChain, findElement, type ElementInfo } from '#netlink/nftables/query.ts'
import type { ElementSet, Table } from '#netlink/nftables/transaction.ts'
import { hostLinkName, type Attachment } from './attachment.ts'
import { confined, marked, members, places, table, tallied, within, type Place } from './firewall-table.ts'
import type { Namespace } from './namespace.ts'

/** A place to speak of in a transaction. */
export const placeIn = (own: Table, { name, type, leads }: Place): ElementSet =>
  leads ? own.map(name, type) : own.set(name, type)

/** The element of a key, undefined when there is none. */
export const find = (host: Namespace, { name, type }: Place, key: string): ElementInfo | undefined =>
  findElement(host.netfilter, table, name, type, key)

/** Whether a device is kept apart from the others. */
export const isConfined = (host: Namespace, bridge: string): boolean =>
  findElement(host.netfilter, table, confined.name, confined.type, bridge) !== undefined

/** Whether containers reach each other through a device. */
export const isOpenWithin = (host: Namespace, bridge: string): boolean =>
  findElement(host.netfilter, table, within.name, within.type, `${bridge} . ${bridge}`) !== undefined

/** The places that one key must not be in at once. */
export const samePlaces = ({ type }: Place): readonly Place[] => places.filter(place => place.type === type)

/** Where to look for an attachment's elements; what is none of its addresses is left out. */
export interface Whereabouts { readonly attachment: Attachment; readonly addresses: readonly string[] }

/** An element that is there; `chain` is what it leads to. */
export interface Found {
  readonly map: Place
  readonly key: string
  readonly chain: string | undefined
  readonly owner: string
}

/** Whether an element is for an address, not for the attachment as a whole. */
export const isAddress = ({ map }: Found): boolean => map !== members

/** The elements whose comment `isMeant`; without whereabouts all of them are looked through. */
export const findAll = (host: Namespace, isMeant: (comment: string) => boolean, where?: Whereabouts): Found[] => {
  const found = (map: Place, candidates: readonly (ElementInfo | undefined)[]): Found[] => candidates
    .flatMap(element => element && isMeant(element.comment)
      ? [{ map, key: element.key, chain: element.verdict?.chain, owner: element.comment }] : [])
  if (where === undefined)
    return places.flatMap(map => found(map, elements(host.netfilter, table, map.name, map.type)))
  const keys = where.addresses.map(address => parseIp(address.split('/')[0]!)).filter(bytes => bytes !== undefined)
  return [
    ...keys.flatMap(bytes => samePlaces(marked[bytes.length === 4 ? 'ipv4' : 'ipv6'])
      .flatMap(map => found(map, [find(host, map, formatIp(bytes))]))),
    ...found(members, [find(host, members, hostLinkName(where.attachment))]),
  ]
}

/** The zone of firewalld's that an element's address is in. */
export const zoneOf = (host: Namespace, { chain }: Found): string | undefined => {
  const info = chain === undefined ? undefined : findChain(host.netfilter, table, chain)
  const counted = info && tallied(info)
  return counted?.kind === 'zone' ? counted.subject : undefined
}
