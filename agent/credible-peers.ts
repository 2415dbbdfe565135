// Whoever can write to the store decides where packets of a network go, but only those: what a peer claims is taken
// for its own inside the network's subnets, in pieces that the network is cut into, and not at our own address.
import { overlaps, parsePrefix, type Prefix } from '#net/prefix.ts'
import type { Peer } from '#net/overlay-peer.ts'
import { familyOf, parseIp } from '#netlink/ip.ts'
import type { Range } from './range.ts'

interface Own { readonly vtep: string; readonly mac: string; readonly ranges: readonly Range[] }

export interface Credible {
  readonly peers: readonly Peer[]
  /** Of what is left out, for people. */
  readonly doubts: readonly string[]
}

/** Looked at for each of thousands of peers. */
interface Cut { readonly subnet: Prefix; readonly blockLength: number }

const isInside = (cuts: readonly Cut[], address: string): boolean => {
  const bytes = parseIp(address)!
  const single = { family: familyOf(address), bytes, length: 8 * bytes.length }
  return cuts.some(({ subnet }) => overlaps(subnet, single))
}

const isPiece = (cuts: readonly Cut[], text: string): boolean => {
  const prefix = parsePrefix(text)
  return prefix !== undefined && cuts.some(({ subnet, blockLength }) =>
    (prefix.length === blockLength || prefix.length === 8 * prefix.bytes.length) && overlaps(subnet, prefix))
}

const doubtAbout = ({ vtep, mac }: Peer, own: Own, cuts: readonly Cut[]): string | undefined => {
  if (familyOf(vtep) !== familyOf(own.vtep)) return `${vtep} is not of the family of ${own.vtep}`
  if (vtep === own.vtep) return `another host says that it is at ${vtep}, which is this one's address`
  if (mac === own.mac) return `host at ${vtep}: ${mac} is this host's own hardware address`
  return isInside(cuts, vtep) ? `${vtep} is an address of the network itself` : undefined
}

/** What of the peers of a network is to be believed. */
export const credible = (peers: readonly Peer[], own: Own): Credible => {
  const doubts: string[] = []
  const cuts = own.ranges.map(({ subnet, blockLength }) => ({ subnet: parsePrefix(subnet)!, blockLength }))
  const kept = peers.flatMap(peer => {
    const doubt = doubtAbout(peer, own, cuts)
    if (doubt !== undefined) {
      doubts.push(doubt)
      return []
    }
    const prefixes = peer.prefixes.filter(prefix => isPiece(cuts, prefix))
    if (prefixes.length === peer.prefixes.length) return [peer]
    doubts.push(`host at ${peer.vtep}: ${peer.prefixes.filter(prefix => !prefixes.includes(prefix)).join(', ')} is ` +
      'nothing that this network is cut into')
    return prefixes.length === 0 ? [] : [{ ...peer, prefixes }]
  })
  return { peers: kept, doubts }
}
