// Which addresses the containers of this host get, as a configuration of host-local: the blocks of this host are its
// ranges, so what is recorded, how it is found again and how it is freed are host-local's.
import {
  contains, holesIn, intervalOf, readExclusions, readRange, type RangeConfig, type RangeSet,
} from '../address-range.ts'
import type { Json } from '../json.ts'
import type { RequestedIp } from '../requested-ips.ts'
import { invalidConfig } from '../errors.ts'
import { networkOf, nthAddress, parsePrefix, subnetOf, type Prefix } from '#net/prefix.ts'
import { familyOf, formatIp, numberOf, parseIp, textOf, type Family } from '#netlink/ip.ts'
import { excludedFrom, holesOf, spanOf, type PoolRange } from './pool.ts'
import type { PoolRun, RunFile } from './run-file.ts'

const within = (block: string, address: string): boolean => {
  const bytes = parseIp(address)
  const prefix = parsePrefix(block)!
  return bytes?.length === prefix.bytes.length &&
    formatIp(networkOf({ ...prefix, bytes })) === formatIp(networkOf(prefix))
}

/** The last address of a prefix that a container can have: in IPv4 not that of broadcasts to the subnet. */
const lastOf = (block: Prefix, subnet: Prefix): string => {
  const bits = BigInt(8 * block.bytes.length)
  const end = (prefix: Prefix): bigint => numberOf(networkOf(prefix)) + (1n << bits - BigInt(prefix.length)) - 1n
  const isBroadcast = block.family === 'ipv4' && end(block) === end(subnet)
  return textOf(block.family, end(block) - (isBroadcast ? 1n : 0n))
}

/** The subnet of a network that an address or a block of its lies in. */
const subnetAround = ({ ranges }: RunFile, address: string): string | undefined =>
  ranges.map(({ subnet }) => subnet).find(subnet => within(subnet, address.split('/')[0]!))

/** In an overlay the first address, which every host has on its ends of the pairs. */
const gatewayOf = (run: RunFile, subnet: string): string =>
  run.addressing === 'pool'
    ? run.ranges.find(range => range.subnet === subnet)!.gateway
    : nthAddress(parsePrefix(subnet)!, 1)

const later = (one: bigint, other: bigint): bigint => one > other ? one : other
const earlier = (one: bigint, other: bigint): bigint => one < other ? one : other

/** What of a block a pool hands out; undefined for one that lies outside of it. */
const partOf = (range: PoolRange, block: Prefix): RangeConfig | undefined => {
  const [span, all] = [spanOf(range), intervalOf(block)]
  const [first, last] = [later(span.first, all.first), earlier(span.last, all.last)]
  const { subnet, gateway } = range
  const [rangeStart, rangeEnd] = [textOf(block.family, first), textOf(block.family, last)]
  return first > last ? undefined : { subnet, rangeStart, rangeEnd, gateway }
}

/** What host-local calls a range: in a flat network part of the one subnet, otherwise a subnet with its own gateway. */
const rangeOf = (run: RunFile, block: string): RangeConfig | undefined => {
  const subnet = subnetAround(run, block)
  if (run.addressing === 'hostSubnet' || subnet === undefined) return { subnet: block }
  const prefix = parsePrefix(block)!
  if (run.addressing === 'pool') return partOf(run.ranges.find(range => range.subnet === subnet)!, prefix)
  // The first one of a block is the host's own, for what it sends itself.
  return {
    subnet, rangeStart: nthAddress(prefix, 1), rangeEnd: lastOf(prefix, parsePrefix(subnet)!),
    gateway: gatewayOf(run, subnet),
  }
}

/** A range with one address, which lies in a block of another host. */
const rangeAround = (run: RunFile, ip: string): RangeConfig => {
  const subnet = subnetAround(run, ip)!
  return { subnet, rangeStart: ip, rangeEnd: ip, gateway: gatewayOf(run, subnet) }
}

/** The families of a network. */
export const familiesOf = ({ ranges }: RunFile): readonly Family[] =>
  [...new Set(ranges.map(({ subnet }) => familyOf(subnet)))]

const rangesOf = (run: RunFile, family: Family): readonly RangeConfig[] =>
  run.blocks.filter(block => familyOf(block) === family).flatMap(block => rangeOf(run, block) ?? [])

/** @param exclude what this host's configuration keeps out of a pool */
const exclusions = (run: RunFile, exclude: readonly string[]): readonly string[] =>
  run.addressing === 'pool' ? [...run.reserved, ...excludedFrom(run.ranges, exclude)] : run.reserved

/** What this host hands out of a family by itself. */
export const handedOut = (run: RunFile, family: Family, exclude: readonly string[] = []): RangeSet => {
  const ranges = rangesOf(run, family).map(range => readRange('', range))
  return { key: '', family, ranges, holes: holesIn(family, ranges, readExclusions(exclusions(run, exclude))) }
}

interface Choice {
  /** Addresses outside of this host's blocks that the container is to get. */
  readonly claimed?: readonly string[]
  readonly exclude?: readonly string[]
  /** Further keys for host-local. */
  readonly more?: Json
}

/** The `ipam` object of host-local for a network: one range set for each family. */
export const hostLocalConfig = (
  run: RunFile, dataDir: string, { claimed = [], exclude = [], more = {} }: Choice = {},
): Json => ({
  ...more, type: 'host-local', dataDir, exclude: exclusions(run, exclude),
  ranges: familiesOf(run).map(family => {
    const wanted = claimed.find(ip => familyOf(ip) === family)
    return wanted === undefined ? rangesOf(run, family) : [rangeAround(run, wanted)]
  }),
})

/** The same for CHECK: the addresses that a container has, whatever has become of the blocks. */
export const recordedConfig = (addresses: readonly string[], dataDir: string): Json => ({
  type: 'host-local', dataDir,
  ranges: addresses.map(address => {
    const [ip = ''] = address.split('/')
    return [{ subnet: subnetOf(parsePrefix(address)!), rangeStart: ip, rangeEnd: ip }]
  }),
})

/** The same for verbs that need no ranges. */
export const recordsOnly = (dataDir: string): Json => ({ type: 'host-local', dataDir })

/** @throws CniError 7 for an address of the segment that the pool does not have */
const requireInPool = (
  { network, ranges }: PoolRun, { key, text }: RequestedIp, ip: string, exclude: readonly string[],
): void => {
  const family = familyOf(ip)
  const address = numberOf(parseIp(ip)!)
  const range = ranges.find(({ subnet }) => familyOf(subnet) === family)!
  if (!contains(spanOf(range), address)) {
    throw invalidConfig(`${key} ${text} is not in ${range.rangeStart}-${range.rangeEnd} of network ${network}`,
      'ask for one that is')
  }
  if (ip !== range.gateway && holesOf(ranges, family, exclude).some(hole => contains(hole, address)))
    throw invalidConfig(`${key} ${text} is excluded from network ${network}`, 'ask for another one')
}

/**
 * The requested addresses that are in no block of this host, in canonical text: they have to be claimed first.
 * @throws CniError 7 for one that the network cannot have
 */
export const foreignTo = (
  run: RunFile, requests: readonly RequestedIp[], exclude: readonly string[] = [],
): readonly string[] =>
  requests.flatMap(({ key, text }) => {
    const bytes = parseIp(text) ?? parsePrefix(text)?.bytes
    if (bytes === undefined) throw invalidConfig(`${key} "${text}" is no IP address`, 'write 10.1.2.3 or 10.1.2.3/24')
    const ip = formatIp(bytes)
    const subnet = subnetAround(run, ip)
    if (subnet === undefined) {
      const subnets = run.ranges.map(range => range.subnet).join(', ')
      throw invalidConfig(`${key} ${text} is not in ${subnets} of network ${run.network}`, 'ask for one that is')
    }
    if (run.addressing === 'pool') requireInPool(run, { key, text }, ip, exclude)
    if (run.blocks.some(block => within(block, ip))) return []
    if (run.addressing !== 'hostSubnet') {
      if (ip === gatewayOf(run, subnet)) throw invalidConfig(`${key} ${text} is the gateway`, 'ask for another one')
      return [ip]
    }
    throw invalidConfig(`${key} ${text} is not in ${run.blocks.join(', ')} of this host`,
      'only a network with "addressing": "flat" has addresses that can live on any host')
  })

/** Whether an address may still be handed out: the blocks may have changed since they were read. */
export const isOurs = (run: RunFile | undefined, address: string): boolean => {
  const [ip = ''] = address.split('/')
  return run !== undefined && run.drained === undefined && !run.reserved.includes(ip) &&
    (run.blocks.some(block => within(block, ip)) || run.statics.some(record => record.ip === ip))
}

/** An address with the prefix length of the whole network, not of this host's part: `10.1.2.3/16`. */
export const inNetwork = (run: RunFile, address: string): string => {
  const [ip = ''] = address.split('/')
  return `${ip}/${subnetAround(run, ip)?.split('/')[1] ?? address.split('/')[1]}`
}
