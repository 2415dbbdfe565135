// What is to be published for an attachment, decided before anything is touched.
import { invalidConfig } from '#cni/errors.ts'
import type { Result } from '#cni/result.ts'
import type { Attachment } from '#net/attachment.ts'
import { parseConditions } from '#net/conditions.ts'
import { IptablesRefusal } from '#net/iptables.ts'
import { parsePrefix } from '#net/prefix.ts'
import type { HostPort, Mapping, Publication } from '#net/publication.ts'
import type { Backend } from '#net/published.ts'
import { formatIp } from '#netlink/ip.ts'
import type { Config } from './config.ts'
import { mappingsOf, portsOf } from './ports.ts'

const MARK_BIT = 13 // as the reference plugin: Kubernetes uses 14 and 15, Calico 20 to 31

const lists = { ipv4: 'conditionsV4', ipv6: 'conditionsV6' } as const
const families = ['ipv4', 'ipv6'] as const

/** Words that begin with a dash are iptables'; so is an exclamation mark in front of one. */
const isForIptables = ([first = '']: readonly string[]): boolean => first.startsWith('-') || first === '!'

const wantsIptables = (config: Partial<Config>): boolean =>
  config.externalSetMarkChain !== undefined || families.some(family => isForIptables(config[lists[family]] ?? []))

/** Who writes the rules. A configuration with iptables' words is the reference plugin's of old, which chose so. */
export const backendOf = (config: Partial<Config>): Backend =>
  config.backend ?? (wantsIptables(config) ? 'iptables' : 'nftables')

/** Refuses what cannot mean anything. @throws CniError 7 */
export const refuseContradictions = (config: Config): void => {
  const { externalSetMarkChain, markMasqBit } = config
  const backend = backendOf(config)
  if (externalSetMarkChain !== undefined && markMasqBit !== undefined) {
    throw invalidConfig(
      `externalSetMarkChain ${externalSetMarkChain} and markMasqBit ${markMasqBit} exclude each other`,
      'either a chain of yours sets its mark, or ours sets that bit',
    )
  }
  if (externalSetMarkChain !== undefined && backend === 'nftables') {
    throw invalidConfig(
      `externalSetMarkChain ${externalSetMarkChain} needs backend iptables`, 'the nftables backend uses no marks')
  }
  for (const family of families) {
    const tokens = config[lists[family]] ?? []
    if (tokens.length === 0) continue
    if (isForIptables(tokens) !== (backend === 'iptables')) {
      throw invalidConfig(
        `${lists[family]} ${JSON.stringify(tokens)} is not written for backend ${backend}`,
        'conditions of iptables begin with - or !, those of nftables do not',
      )
    }
    if (backend === 'iptables') continue
    try {
      parseConditions(family, tokens)
    } catch (error) {
      throw error instanceof RangeError ? invalidConfig(`${lists[family]}: ${error.message}`) : error
    }
  }
  portsOf(config)
}

/** The key that a refusal of iptables is about, with its value; undefined when it is about none. */
export const refusedKey = (config: Partial<Config>, error: unknown): string | undefined => {
  if (!(error instanceof IptablesRefusal)) return undefined
  const { externalSetMarkChain: chain } = config
  const { line = '', message } = error
  // Of a chain that is not there no line is named.
  if (chain !== undefined && (line.endsWith(` -j ${chain}`) || message.includes(`'${chain}'`)))
    return `externalSetMarkChain ${chain}`
  const key = lists[error.family]
  const tokens = config[key] ?? []
  // Only rules with conditions lead to the ports by `multiport`.
  return tokens.length > 0 && line.includes(' -m multiport ') ? `${key} ${JSON.stringify(tokens)}` : undefined
}

/** The container's addresses in a result, with prefix length: the first of each family that is the interface's. */
export const addressesOf = ({ ips, interfaces }: Result, ifName: string): readonly string[] => {
  const isOwn = (index: number | undefined): boolean => {
    const entry = index === undefined ? undefined : interfaces[index]
    // An index that leads nowhere says as little as none.
    return entry === undefined || entry.name === ifName && entry.sandbox !== undefined
  }
  const prefixes = ips.filter(ip => isOwn(ip.interface)).map(({ address }) => parsePrefix(address))
  return families.flatMap(family => {
    const first = prefixes.find(prefix => prefix?.family === family)
    return first === undefined ? [] : [`${formatIp(first.bytes)}/${first.length}`]
  })
}

/** What an attachment publishes. @throws CniError 7 */
export const publicationOf = (config: Config, attachment: Attachment, previous: Result): Publication => {
  const addresses = addressesOf(previous, attachment.ifName)
  return {
    attachment, addresses,
    mappings: mappingsOf(portsOf(config), addresses.map(address => address.split('/')[0]!)),
    snat: config.snat,
    masqAll: config.masqAll,
    markMasqBit: config.markMasqBit ?? MARK_BIT,
    externalSetMarkChain: config.externalSetMarkChain,
    conditions: { ipv4: config.conditionsV4 ?? [], ipv6: config.conditionsV6 ?? [] },
  }
}

/**
 * What of the ports comes to nothing, in words; undefined when all is published. That is no error: a runtime gives the
 * ports of a container to each of its networks.
 */
export const unpublished = (config: Config, { mappings, attachment }: Publication): string | undefined => {
  const published = new Set(mappings.map(({ protocol, hostPort }) => `${hostPort}/${protocol}`))
  const lost = portsOf(config).map(({ protocol, hostPort }) => `${hostPort}/${protocol}`)
    .filter(port => !published.has(port))
  return lost.length === 0 ? undefined
    : `${attachment.ifName} has no address that hostPort ${lost.join(', ')} could lead to: not published`
}

/** The ports that DEL is told of; undefined when it is told none, or none that make sense. */
export const knownPorts = (config: Partial<Config>): readonly HostPort[] | undefined => {
  try {
    const ports = portsOf(config)
    return ports.length > 0 ? ports : undefined
  } catch {
    return undefined
  }
}

/** The same with where they lead, as far as that is known. */
export const knownMappings = (
  config: Partial<Config>, addresses: readonly string[] = [],
): readonly Mapping[] | undefined => {
  try {
    return mappingsOf(portsOf(config), addresses.map(address => address.split('/')[0]!))
  } catch {
    return undefined
  }
}
