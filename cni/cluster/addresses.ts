// Which addresses the containers of this host get, as a configuration of host-local: the blocks of this host are its
// ranges, so what is recorded, how it is found again and how it is freed are host-local's.
import type { Json } from '../json.ts'
import type { RequestedIp } from '../requested-ips.ts'
import { invalidConfig } from '../errors.ts'
import { networkOf, nthAddress, parsePrefix, subnetOf, type Prefix } from '#net/prefix.ts'
import { familyOf, formatIp, numberOf, parseIp, textOf } from '#netlink/ip.ts'
import type { RunFile } from './run-file.ts'

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

/** The first address of the network, which every host has on its ends of the pairs. */
const gatewayOf = (subnet: string): string => nthAddress(parsePrefix(subnet)!, 1)

/** What host-local calls a range: in a flat network part of the one subnet, otherwise a subnet with its own gateway. */
const rangeOf = (run: RunFile, block: string): Json => {
  const subnet = subnetAround(run, block)
  if (run.addressing === 'hostSubnet' || subnet === undefined) return { subnet: block }
  const prefix = parsePrefix(block)!
  // The first one of a block is the host's own, for what it sends itself.
  return {
    subnet, rangeStart: nthAddress(prefix, 1), rangeEnd: lastOf(prefix, parsePrefix(subnet)!),
    gateway: gatewayOf(subnet),
  }
}

/** A range with one address, which lies in a block of another host. */
const rangeAround = (run: RunFile, ip: string): Json => {
  const subnet = subnetAround(run, ip)!
  return { subnet, rangeStart: ip, rangeEnd: ip, gateway: gatewayOf(subnet) }
}

/** One set for each family. @param claimed addresses outside of this host's blocks that the container is to get */
const rangeSets = (run: RunFile, claimed: readonly string[]): readonly (readonly Json[])[] => {
  const families = [...new Set(run.ranges.map(({ subnet }) => familyOf(subnet)))]
  return families.map(family => {
    const wanted = claimed.find(ip => familyOf(ip) === family)
    return wanted === undefined
      ? run.blocks.filter(block => familyOf(block) === family).map(block => rangeOf(run, block))
      : [rangeAround(run, wanted)]
  })
}

/** The `ipam` object of host-local for a network. */
export const hostLocalConfig = (run: RunFile, dataDir: string, claimed: readonly string[] = []): Json =>
  ({ type: 'host-local', dataDir, ranges: rangeSets(run, claimed), exclude: run.reserved })

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

/**
 * The requested addresses that are in no block of this host, in canonical text: they have to be claimed first.
 * @throws CniError 7 for one that the network cannot have
 */
export const foreignTo = (run: RunFile, requests: readonly RequestedIp[]): readonly string[] =>
  requests.flatMap(({ key, text }) => {
    const bytes = parseIp(text) ?? parsePrefix(text)?.bytes
    if (bytes === undefined) throw invalidConfig(`${key} "${text}" is no IP address`, 'write 10.1.2.3 or 10.1.2.3/24')
    const ip = formatIp(bytes)
    const subnet = subnetAround(run, ip)
    if (subnet === undefined) {
      const subnets = run.ranges.map(range => range.subnet).join(', ')
      throw invalidConfig(`${key} ${text} is not in ${subnets} of network ${run.network}`, 'ask for one that is')
    }
    if (run.blocks.some(block => within(block, ip))) return []
    if (run.addressing === 'flat') {
      if (ip === gatewayOf(subnet)) throw invalidConfig(`${key} ${text} is the gateway`, 'ask for another one')
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
