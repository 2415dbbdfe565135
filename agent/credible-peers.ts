// Whoever can write to the store decides where packets of a network go, but only those: what a peer claims is taken
// for its own inside the network's subnets, in pieces that the network is cut into, and not at our own address.
import { overlaps, parsePrefix } from '#net/prefix.ts'
import type { Peer } from '#net/overlay-peer.ts'
import { familyOf, parseIp } from '#netlink/ip.ts'
import { isBlockOf, type Range } from './range.ts'

interface Own { readonly vtep: string; readonly mac: string; readonly ranges: readonly Range[] }

export interface Credible {
  readonly peers: readonly Peer[]
  /** Of what is left out, for people. */
  readonly doubts: readonly string[]
}

const isInside = (ranges: readonly Range[], address: string): boolean => {
  const bytes = parseIp(address)!
  const single = { family: familyOf(address), bytes, length: 8 * bytes.length }
  return ranges.some(({ subnet }) => overlaps(parsePrefix(subnet)!, single))
}

const isPiece = (ranges: readonly Range[], prefix: string): boolean => {
  const [address = '', length] = prefix.split('/')
  return ranges.some(range => isBlockOf(range, prefix)) ||
    length === (familyOf(address) === 'ipv4' ? '32' : '128') && isInside(ranges, address)
}

const doubtAbout = ({ vtep, mac }: Peer, own: Own): string | undefined => {
  if (familyOf(vtep) !== familyOf(own.vtep)) return `${vtep} is not of the family of ${own.vtep}`
  if (vtep === own.vtep) return `another host says that it is at ${vtep}, which is this one's address`
  if (mac === own.mac) return `host at ${vtep}: ${mac} is this host's own hardware address`
  return isInside(own.ranges, vtep) ? `${vtep} is an address of the network itself` : undefined
}

/** What of the peers of a network is to be believed. */
export const credible = (peers: readonly Peer[], own: Own): Credible => {
  const doubts: string[] = []
  const kept = peers.flatMap(peer => {
    const doubt = doubtAbout(peer, own)
    if (doubt !== undefined) {
      doubts.push(doubt)
      return []
    }
    const prefixes = peer.prefixes.filter(prefix => isPiece(own.ranges, prefix))
    if (prefixes.length === peer.prefixes.length) return [peer]
    doubts.push(`host at ${peer.vtep}: ${peer.prefixes.filter(prefix => !prefixes.includes(prefix)).join(', ')} is ` +
      'nothing that this network is cut into')
    return prefixes.length === 0 ? [] : [{ ...peer, prefixes }]
  })
  return { peers: kept, doubts }
}
