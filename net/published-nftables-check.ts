// Whether everything is there that publishes an attachment's ports in nftables.
import { familyOf } from '#netlink/ip.ts'
import { findElement } from '#netlink/nftables/query.ts'
import { sleep } from '#sys/sleep.ts'
import { comment, hostLinkName, inWords, isOfContainer } from './attachment.ts'
import * as localhost from './localhost.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping, Publication } from './publication.ts'
import { chainOf, isReady } from './published-nftables-link.ts'
import { findContainer } from './published-nftables-removal.ts'
import {
  attachments, incomplete, maps, placeOf, published, readRegistration, uses, valueOf,
} from './published-nftables-table.ts'
import { containersOf, ownChain, partition } from './published-nftables.ts'

const loopback = {
  ipv4: 'packets from 127.0.0.1 (route_localnet)', ipv6: 'packets to ::1 (a route in table local)',
} as const

const fault = (what: string): Error =>
  new Error(`published ports: in nftables table inet fairlead_published ${what}; add the container again`)

/** @returns whether another interface of the same container has the port */
const checkPort = (host: Namespace, { attachment }: Publication, mapping: Mapping): boolean => {
  const { map, key } = placeOf(mapping)
  const { name, type, of } = maps[familyOf(mapping.containerIp)][map]
  const element = findElement(host.netfilter, published, name, type, key, of)
  if (element?.comment !== comment(attachment)) {
    if (element !== undefined && !isOfContainer(element.comment, attachment.containerId))
      throw fault(`${key} of map ${name} belongs to ${inWords(element.comment)}`)
    return true
  }
  if (element.value !== valueOf(mapping)) throw fault(`${key} of map ${name} leads to ${element.value}`)
  return false
}

/**
 * Sees that the guard is there that an attachment with rules in iptables has; one of the Go suite's has none.
 * @throws Error naming what is missing
 */
export const checkGuard = (host: Namespace, { attachment }: Publication): void => {
  const { name, type } = attachments
  if (findElement(host.netfilter, published, name, type, hostLinkName(attachment)) === undefined) return
  const chain = incomplete(host)
  if (chain !== undefined) throw fault(`chain ${chain} has lost rules, or nothing leads to it`)
}

const checkOnce = (host: Namespace, publication: Publication): void => {
  const { attachment } = publication
  const chain = incomplete(host)
  if (chain !== undefined) throw fault(`chain ${chain} has lost rules, or nothing leads to it`)
  const { plain, conditional } = partition(publication)
  const elsewhere = plain.filter(mapping => checkPort(host, publication, mapping))
  for (const [dispatcher, mappings] of Object.entries({ conditional, shared: elsewhere } as const)) {
    const own = ownChain(publication, dispatcher as 'conditional' | 'shared')
    if (mappings.length > 0 && uses(host, own) <= mappings.length) {
      const { map, key } = placeOf(mappings[0]!)
      const { name } = maps[familyOf(mappings[0]!.containerIp)][map]
      throw fault(dispatcher === 'shared' ? `${key} is not in map ${name}` : `chain ${own} has lost rules`)
    }
  }
  const registration = findElement(
    host.netfilter, published, attachments.name, attachments.type, hostLinkName(attachment))
  if (readRegistration(registration?.comment ?? '').owner !== comment(attachment))
    throw fault(`map ${attachments.name} does not know the container`)
  for (const { family, ip, way } of containersOf(host, publication)) {
    if (way === undefined) continue
    const element = findContainer(host, ip)
    const { name } = maps[family].containers
    if (element === undefined) throw fault(`${ip} is not in map ${name}`)
    if (element.comment !== comment(attachment))
      throw fault(`${ip} of map ${name} belongs to ${inWords(element.comment)}`)
    if (element.verdict?.chain !== chainOf(way)) throw fault(`${ip} of map ${name} does not lead to ${chainOf(way)}`)
    if (!isReady(host, way)) throw fault(`chain ${chainOf(way)} has lost rules`)
    if (!localhost.isOpen(host, way.link, family))
      throw new Error(`published ports: ${way.link} is closed to ${loopback[family]}; add the container again`)
  }
}

const ATTEMPTS = 5
const PAUSE_MS = 3

/** @throws Error naming what is missing */
export const check = (host: Namespace, publication: Publication): void => {
  // What is read while somebody else's transaction is being prepared may be off; a fault lasts.
  for (let attempt = 1; ; attempt++) {
    try {
      return checkOnce(host, publication)
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      sleep(PAUSE_MS)
    }
  }
}
