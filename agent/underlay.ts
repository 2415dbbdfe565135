// The network that carries the overlays: by which of its addresses other hosts reach this one.
import { version } from '#cni/release.ts'
import type { Namespace } from '#net/namespace.ts'
import { defaultRouteLink } from '#net/default-route.ts'
import { sha256 } from '#sys/digest.ts'
import { readText } from '#sys/file.ts'
import { scope } from '#netlink/route/route.ts'
import { formatMac } from '#netlink/mac.ts'
import { familyOf } from '#netlink/ip.ts'
import type { HostFacts } from './records.ts'
import type { Settings } from './settings.ts'
import { isLocal } from './store-choice.ts'
import { OverlayError } from './overlay-error.ts'

export interface Underlay {
  /** The tunnel's end. */
  readonly vtep: string
  /** Of the link that it is on. */
  readonly index: number
  readonly mtu: number
}

const ipOf = (address: string): string => address.split('/')[0]!

/** A cluster of one machine needs no underlay, and yet its devices want an address. */
const ALONE = '127.0.0.1'

/**
 * The link of the underlay, undefined when the host has none and does without.
 * @throws OverlayError `invalid`
 */
const linkOf = (host: Namespace, { interface: name, ...settings }: Settings): number | undefined => {
  const index = name === undefined ? defaultRouteLink(host) : host.link.find(name)?.index
  if (index !== undefined || name === undefined && isLocal(settings)) return index
  throw name === undefined
    ? new OverlayError('invalid', 'this host has no default route', 'name the underlay: "interface" or "address"')
    : new OverlayError('invalid', `interface ${name} does not exist`)
}

/** What the host has at the moment. @throws OverlayError `invalid` when it is not what it was told, or nothing */
export const findUnderlay = (host: Namespace, settings: Settings): Underlay => {
  const { address } = settings
  const at = (vtep: string, index: number): Underlay => ({ vtep, index, mtu: host.link.at(index).mtu })
  const all = host.addr.list().filter(found => !found.dadFailed)
  if (address !== undefined) {
    const found = all.find(one => ipOf(one.address) === address)
    if (found === undefined) throw new OverlayError('invalid', `address ${address}: this host has no such address`)
    return at(address, found.index)
  }
  const index = linkOf(host, settings)
  if (index === undefined) return at(ALONE, host.link.get('lo').index)
  const own = all.filter(one => one.index === index && one.scope === scope.global).map(one => ipOf(one.address))
  const vtep = own.find(ip => familyOf(ip) === 'ipv4') ?? own[0]
  if (vtep !== undefined) return at(vtep, index)
  throw new OverlayError('invalid', `${host.link.at(index).name} has no address`, 'give it one, or name another link')
}

const LOCALLY_ADMINISTERED = 2
const MULTICAST = 1

/** The hardware address of a host's tunnel ends: always the same, and no other host's. */
export const tunnelMac = (hostId: string): string => {
  const bytes = Uint8Array.from(Buffer.from(sha256(`fairlead tunnel ${hostId}`).slice(0, 12), 'hex'))
  bytes[0] = bytes[0]! & ~MULTICAST | LOCALLY_ADMINISTERED
  return formatMac(bytes)
}

const bootId = (): string | undefined => readText('/proc/sys/kernel/random/boot_id')?.trim()

/** What is told to the others. @param wireguardKey where this host has a part in encrypted networks: its public key */
export const factsOf = (
  { vtep, mtu }: Underlay, { hostId, hostName, wireguardPort }: Settings, wireguardKey: string | undefined,
  boot = bootId(),
): HostFacts => ({
  ...familyOf(vtep) === 'ipv4' ? { vtep4: vtep } : { vtep6: vtep },
  mac: tunnelMac(hostId), mtu, name: hostName, version, ...boot === undefined ? {} : { boot },
  ...wireguardKey === undefined ? {} : { wireguardKey, wireguardPort },
})
