// The network that a user would write with the plugins of a suite: bridge and host-local, and what it has to chain.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Skip } from './case.ts'
import { entryOf, hostEnd } from './container.ts'
import { must } from './expect.ts'
import type { JsonObject } from './json.ts'
import type { Attachment, NetworkList } from './libcni.ts'
import { profileOf } from './profile.ts'
import type { Result } from './result.ts'
import { subjectOf, type Subject } from './subject.ts'
import { compareVersions, isAtLeast } from './versions.ts'
import type { World } from './world.ts'

const entries: readonly JsonObject[] = [
  {
    type: 'bridge',
    bridge: 'br0',
    isGateway: true,
    ipMasq: true,
    capabilities: { mac: true, ips: true },
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
  },
  { type: 'tuning', sysctl: { 'net.core.somaxconn': '500' } },
  { type: 'portmap', capabilities: { portMappings: true } },
  { type: 'firewall' },
  { type: 'bandwidth', capabilities: { bandwidth: true } },
]

/** Those that follow bridge. */
const followers = ['tuning', 'portmap', 'firewall', 'bandwidth']

/** A plugin of the suite that can work here; undefined when there is none. */
const member = ({ bin, features, extras }: Subject, plugin: string): Subject | undefined => {
  if (!existsSync(join(bin, plugin))) return undefined
  const subject = subjectOf(bin, plugin, profileOf(plugin), features, extras)
  return subject.unattachable ? undefined : subject
}

export class Chain {
  /** What may remain after the last container has gone. */
  readonly remains: readonly string[]
  readonly #members: readonly Subject[]

  /** Ends the case as skipped when the suite lacks bridge or host-local. `plugins` are the ones wanted besides. */
  constructor(world: World, plugins: readonly string[] = followers) {
    const found = ['bridge', 'host-local', ...plugins].map(plugin => [plugin, member(world.subject, plugin)] as const)
    const missing = found.slice(0, 2).find(([, subject]) => !subject)
    if (missing) throw new Skip(`the suite has no ${missing[0]} that works here`)
    this.#members = found.flatMap(([, subject]) => subject ?? [])
    this.remains = this.#members.flatMap(({ profile }) => profile.remains ?? [])
  }

  has(plugin: string): boolean {
    return this.#members.some(subject => subject.plugin === plugin)
  }

  /**
   * What the plugins that follow bridge were asked for is there: the setting, host port 8080, rules for the address and
   * the limits of the capabilities.
   */
  mustWork(world: World, { version, attachment, address }: {
    readonly version: string
    readonly attachment: Attachment
    readonly address: string
  }): void {
    const { pod, capabilities = {}, ifname } = attachment
    const works = (plugin: string): boolean => this.list(version).plugins.some(({ type }) => type === plugin)
    if (works('tuning')) {
      const value = pod.netns.exec('cat', '/proc/sys/net/core/somaxconn').trim()
      must(value === '500', `tuning: net.core.somaxconn is ${value}, expected 500`)
    }
    const rules = works('portmap') || works('firewall') ? world.host.firewall() : ''
    if (works('portmap') && 'portMappings' in capabilities) must(rules.includes('8080'), 'portmap: no rule for 8080')
    if (works('firewall')) must(rules.includes(address), `firewall: no rule for ${address}`)
    if (!works('bandwidth') || !('bandwidth' in capabilities)) return
    const end = hostEnd(world, pod, ifname)?.ifname
    must(world.host.qdiscs().some(({ kind, dev }) => kind === 'tbf' && dev === end), `bandwidth: no tbf on ${end}`)
  }

  /** The versions from `bound` on that bridge and host-local both advertise. */
  versions(bound = '0.3.0'): string[] {
    const [bridge, ipam] = this.#members
    return (bridge?.supported ?? []).filter(version => isAtLeast(version, bound) && ipam?.supported.includes(version))
  }

  newest(): string {
    return this.versions().sort(compareVersions).at(-1) ?? '1.0.0'
  }

  /** The list in a version, with the plugins that advertise it; `change` are keys over every entry. */
  list(version = this.newest(), change: JsonObject = {}): NetworkList {
    const plugins = entries
      .filter(({ type }) => this.#members.find(({ plugin }) => plugin === type)?.supported.includes(version))
      .map(entry => ({ ...entry, ...change }))
    return { cniVersion: version, name: 'conformance', plugins }
  }
}

/** The container has the address that the result gives the interface; returns it without prefix length. */
export const mustBeConnected = (result: JsonObject, { pod, ifname = 'eth0' }: Attachment): string => {
  const { ips = [], interfaces = [] } = result as Result
  const entry = entryOf({ interfaces }, pod, ifname)
  for (const ip of ips) must(interfaces[ip.interface ?? -1], `interface of ${ip.address} is ${ip.interface}`)
  const own = ips.find(ip => ip.interface === entry)
  must(own, `no ip belongs to ${ifname}: ${JSON.stringify(ips)}`)
  const present = pod.netns.addresses(ifname)
  const seen = present.join(', ') || 'no address'
  must(present.includes(own.address), `${ifname} has ${seen}, the result says ${own.address}`)
  return own.address.split('/')[0] ?? ''
}
