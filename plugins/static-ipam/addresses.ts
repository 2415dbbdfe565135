// Which addresses an attachment gets, and the gateway of each.
import { invalidConfig } from '#cni/errors.ts'
import { listed, requestedIps } from '#cni/requested-ips.ts'
import type { IpConfig } from '#cni/result.ts'
import { formatPrefix, parsePrefix, subnetOf, type Prefix } from '#net/prefix.ts'
import { familyOf, formatIp, parseIp } from '#netlink/ip.ts'
import type { Config } from './config.ts'

interface Address { readonly key: string; readonly prefix: Prefix; readonly gateway?: string | undefined }

const readAddress = (key: string, text: string): Prefix => {
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return prefix
  const problem = parseIp(text) ? 'has no prefix length' : 'is no address with prefix length'
  throw invalidConfig(`${key} "${text}" ${problem}`, 'write 10.1.2.3/24 or fd00::3/64')
}

const readGateway = (key: string, text: string): string => {
  const bytes = parseIp(text)
  if (bytes === undefined) throw invalidConfig(`${key} "${text}" is no IP address`, 'write 10.1.2.1 or fd00::1')
  return formatIp(bytes)
}

const readConfigured = ({ ipam }: Config): Address[] => (ipam.addresses ?? []).map(({ address, gateway }, i) => {
  const key = `ipam.addresses[${i}].address`
  const prefix = readAddress(key, address)
  if (gateway === undefined) return { key, prefix }
  const hop = readGateway(`ipam.addresses[${i}].gateway`, gateway)
  if (familyOf(hop) !== prefix.family) {
    throw invalidConfig(
      `ipam.addresses[${i}].gateway ${gateway} is of another family than ${address}`,
      'give each family an address and a gateway of its own',
    )
  }
  return { key, prefix, gateway: hop }
})

/** The first gateway in an address's subnet. Who is the gateway needs none. */
const within = (prefix: Prefix, gateways: readonly string[]): string | undefined =>
  gateways.find(gateway => gateway !== formatIp(prefix.bytes) &&
    subnetOf({ ...prefix, bytes: parseIp(gateway)! }) === subnetOf(prefix))

const refuseDuplicates = (addresses: readonly Address[]): void => {
  const seen = new Set<string>()
  for (const { key, prefix } of addresses) {
    const text = formatPrefix(prefix)
    if (seen.has(text)) throw invalidConfig(`${key} ${text} is there twice`, 'an interface has an address once')
    seen.add(text)
  }
}

/** GATEWAY of CNI_ARGS in canonical text. @throws CniError 7 */
export const requestedGateways = (cniArgs: ReadonlyMap<string, string>): readonly string[] =>
  listed(cniArgs.get('GATEWAY')).map(text => readGateway('CNI_ARGS GATEWAY', text))

/**
 * The addresses that are asked for, or else those of the configuration; in canonical text. The gateway of each is the
 * first of: one of CNI_ARGS in its subnet, its own, one of `ipam.gateways` in its subnet. An address that is asked for
 * has none of its own, so one of the configured addresses' gateways does, too: containernetworking/plugins#654.
 * @param cniArgs the values of CNI_ARGS
 * @throws CniError 7 that names the key and its value, also of those that are not used
 */
export const addressesFor = (config: Config, cniArgs: ReadonlyMap<string, string>): readonly IpConfig[] => {
  const configured = readConfigured(config)
  const common = (config.ipam.gateways ?? []).map((text, i) => readGateway(`ipam.gateways[${i}]`, text))
  const preferred = requestedGateways(cniArgs).toReversed() // of several in one subnet the last, as in the reference

  const requested = requestedIps(config, cniArgs)
    .map(({ key, text }): Address => ({ key, prefix: readAddress(key, text) }))
  const isAsked = requested.length > 0
  const addresses = isAsked ? requested : configured
  const rest = isAsked ? [...common, ...configured.flatMap(({ gateway }) => gateway ?? [])] : common

  refuseDuplicates(configured)
  refuseDuplicates(requested)
  return addresses.map(({ prefix, gateway }) => {
    const hop = within(prefix, preferred) ?? gateway ?? within(prefix, rest)
    return { address: formatPrefix(prefix), ...(hop !== undefined && { gateway: hop }) }
  })
}
