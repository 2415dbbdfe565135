// A container's namespace, and for chained plugins the veth and the result that an earlier plugin would have left.

import { setTimeout as after } from 'node:timers/promises'
import { command, Netns } from './netns.ts'
import type { Profile } from './profile.ts'
import type { Result } from './result.ts'

export interface Pod {
  readonly netns: Netns
  /** Container id. */
  readonly id: string
  /** For chained plugins: what the plugin before made, as a 1.x result. */
  readonly prevResult: Result | undefined
}

const mac = (side: number, number: number): string => {
  const [a, b] = [side, number].map(part => String(part).padStart(2, '0'))
  return `02:00:00:00:${a}:${b}`
}

const batch = (netns: Netns, lines: readonly string[]): void => {
  command('ip', ['-n', netns.name, '-batch', '-'], `${lines.join('\n')}\n`)
}

/** Gives the host a device that a plugin can take away: dev0 is one end of a cable, dev0-far the other. */
export const addDevice = (host: Netns, name: string): void => {
  const far = `${name}-far`
  const last = name.replace(/^\D+/, '').padStart(2, '0')
  batch(host, [
    `link add ${name} address 02:00:00:00:02:${last} type veth peer name ${far} address 02:00:00:00:05:${last}`,
    `link set ${far} up`,
  ])
}

/** Gives the host namespace, which is there already, the links that the profile asks for. */
export const makeHost = (name: string, profile: Profile): Netns => {
  const host = new Netns(name)
  const uplink = [
    'link add up0 address 02:00:00:00:01:00 type veth peer name up1 address 02:00:00:00:01:01',
    'link set up0 up', 'link set up1 up',
  ]
  batch(host, [
    'link set lo up',
    ...(profile.host?.includes('uplink') ? uplink : []),
  ])
  if (profile.host?.includes('device')) addDevice(host, 'dev0')
  // /sys shows the namespace that it was mounted in, and some plugins look there.
  command('nsenter', [`--net=${host.path}`, '--', 'mount', '-t', 'sysfs', 'sysfs', '/sys'])
  return host
}

/** Makes empty namespaces, all at once because starting a process costs more than the namespace. */
export const addNamespaces = (...names: string[]): void => {
  command('ip', ['-batch', '-'], names.map(name => `netns add ${name}\n`).join(''))
}

/** Takes a container's namespace away. Returns the names of the links of the host that go with it. */
export const destroyPod = async ({ netns }: Pod, host: Netns): Promise<string[]> => {
  const before = host.links().map(({ ifname }) => ifname)
  // The kernel takes a namespace down later, but all of its links at once: when this one has gone, so have the others.
  host.ip('link', 'add', 'witness', 'type', 'veth', 'peer', 'name', 'witness', 'netns', netns.name)
  command('ip', ['netns', 'del', netns.name])
  const until = performance.now() + 5000
  while (host.link('witness') && performance.now() < until) await after(20)
  const left = host.links().map(({ ifname }) => ifname)
  return before.filter(name => !left.includes(name))
}

/**
 * Makes container number `number` (1 to 99, in the names and addresses of what is made) of a namespace. For a chained
 * plugin it gets a veth pair, eth0 inside and host<number> outside, with an IPv4 and where possible an IPv6 address.
 */
export const makePod = (name: string, number: number, host: Netns, profile: Profile, ipv6: boolean): Pod => {
  const netns = new Netns(name)
  const id = `conformance-${number}`
  if (profile.kind !== 'chained') return { netns, id, prevResult: undefined }

  const outside = `host${number}`
  const [v4, v6] = [`10.79.${number}`, `fd00:79:${number}:`]
  batch(host, [
    `link add ${outside} address ${mac(3, number)} type veth peer name eth0 address ${mac(4, number)} netns ${name}`,
    `address add ${v4}.1/24 dev ${outside}`,
    ...(ipv6 ? [`address add ${v6}:1/64 dev ${outside} nodad`] : []),
    `link set ${outside} up`,
  ])
  batch(netns, [
    'link set lo up',
    `address add ${v4}.2/24 dev eth0`,
    ...(ipv6 ? [`address add ${v6}:2/64 dev eth0 nodad`] : []),
    'link set eth0 up',
    `route add default via ${v4}.1`,
    ...(ipv6 ? [`route add default via ${v6}:1 dev eth0`] : []),
  ])
  const prevResult: Result = {
    interfaces: [
      { name: outside, mac: mac(3, number) },
      { name: 'eth0', mac: mac(4, number), sandbox: netns.path },
    ],
    ips: [
      { address: `${v4}.2/24`, gateway: `${v4}.1`, interface: 1 },
      ...(ipv6 ? [{ address: `${v6}:2/64`, gateway: `${v6}:1`, interface: 1 }] : []),
    ],
    routes: [{ dst: '0.0.0.0/0', gw: `${v4}.1` }, ...(ipv6 ? [{ dst: '::/0', gw: `${v6}:1` }] : [])],
  }
  return { netns, id, prevResult }
}
