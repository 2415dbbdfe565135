// The ports that a runtime asks for, as data: ranges counted out, addresses in canonical form.
import { invalidConfig } from '#cni/errors.ts'
import type { HostPort, Mapping, Protocol } from '#net/publication.ts'
import { familyOf, formatIp, parseIp, type Family } from '#netlink/ip.ts'
import type { Config } from './config.ts'

const protocols: readonly string[] = ['tcp', 'udp', 'sctp'] satisfies Protocol[]
const LAST_PORT = 65535

/** A port of the host, of both families unless it says which. */
export interface Port extends HostPort { readonly family: Family | undefined; readonly containerPort: number }

type Entry = NonNullable<NonNullable<Config['runtimeConfig']>['portMappings']>[number]

const protocolOf = ({ protocol = 'tcp' }: Entry): Protocol => {
  const name = protocol.toLowerCase()
  if (protocols.includes(name)) return name as Protocol
  throw invalidConfig(`protocol ${JSON.stringify(protocol)} has no ports to publish`, `write ${protocols.join(', ')}`)
}

const MAPPED = '::ffff:'

/** An address in canonical form; one of IPv4 in IPv6's clothes is one of IPv4, as Go has it. */
const addressOf = (key: string, text: string): string => {
  const bytes = parseIp(text)
  if (bytes === undefined) throw invalidConfig(`${key} ${JSON.stringify(text)} is no IP address`, 'such as 192.0.2.1')
  const address = formatIp(bytes)
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address
}

const isAny = (address: string): boolean => address === '0.0.0.0' || address === '::'

/** Where an entry is published: on one address, on all of a family, or on all. */
const bindingOf = (entry: Entry, { hostBinding }: Partial<Config>): Pick<Port, 'hostIp' | 'family'> => {
  if (entry.hostIP === undefined) {
    const address = hostBinding === undefined ? undefined : addressOf('hostBinding', hostBinding)
    // Docker's word for both families.
    if (address === undefined || address === '0.0.0.0') return { hostIp: undefined, family: undefined }
    return { hostIp: isAny(address) ? undefined : address, family: familyOf(address) }
  }
  const address = addressOf('hostIP', entry.hostIP)
  return { hostIp: isAny(address) ? undefined : address, family: familyOf(address) }
}

/** The number of an entry's ports. @throws CniError 7 */
const countOf = ({ hostPort, hostPortEnd = hostPort, containerPort }: Entry): number => {
  if (hostPortEnd < hostPort) throw invalidConfig(`hostPortEnd ${hostPortEnd} is below hostPort ${hostPort}`)
  const count = hostPortEnd - hostPort + 1
  if (containerPort + count - 1 > LAST_PORT) {
    throw invalidConfig(
      `hostPort ${hostPort} to ${hostPortEnd} needs ${count} ports from containerPort ${containerPort} on`,
      `there is none above ${LAST_PORT}`,
    )
  }
  return count
}

/** The ports of a configuration. @throws CniError 7 */
export const portsOf = (config: Partial<Config>): readonly Port[] =>
  (config.runtimeConfig?.portMappings ?? []).flatMap(entry => {
    const common = { protocol: protocolOf(entry), ...bindingOf(entry, config) }
    return Array.from({ length: countOf(entry) }, (_, i) =>
      ({ ...common, hostPort: entry.hostPort + i, containerPort: entry.containerPort + i }))
  })

/** The ports with where they lead, each once. @throws CniError 7 when one is to lead to two ports of the container */
export const mappingsOf = (ports: readonly Port[], containers: readonly string[]): readonly Mapping[] => {
  const taken = new Map<string, Mapping[]>()
  // What is published on all addresses comes first, and then covers the single ones.
  const sorted = [...ports].sort((one, other) => Number(one.hostIp !== undefined) - Number(other.hostIp !== undefined))
  for (const { family, protocol, hostIp, hostPort, containerPort } of sorted) {
    for (const containerIp of containers) {
      if (family !== undefined && family !== familyOf(containerIp)) continue
      const key = `${containerIp} ${protocol} ${hostPort}`
      const others = taken.get(key) ?? []
      const same = others.find(other => other.hostIp === undefined || other.hostIp === hostIp)
      if (same !== undefined && same.containerPort !== containerPort) {
        throw invalidConfig(
          `hostPort ${hostPort}/${protocol} is to lead to containerPort ${same.containerPort} and ${containerPort}`,
          'give each its own hostPort, or addresses of the host that differ',
        )
      }
      if (same === undefined) taken.set(key, [...others, { protocol, hostIp, hostPort, containerIp, containerPort }])
    }
  }
  return [...taken.values()].flat()
}
