// For *.kernel.test.ts of overlays: several hosts on one underlay, each with a container behind it, all of them network
// namespaces. The underlay is a bridge in a namespace of its own, and 192.0.2.0/24 and 2001:db8::/64.
import type { Namespace } from '#net/namespace.ts'
import type { Overlay } from '#net/overlay.ts'
import type { Peer } from '#net/overlay-peer.ts'
import { writeSysctl } from '#net/sysctl.ts'
import { spawnSync } from 'node:child_process'
import { anotherNamespace, connect } from './kernel.ts'

interface Test { teardown(step: () => void): unknown }

/** One host. Its container has the second address of each of its prefixes. */
export interface LabHost {
  readonly ns: Namespace
  readonly pod: Namespace
  readonly overlay: Overlay
  /** How the others see it. */
  readonly peer: Peer
}

const UNDERLAY_MTU = 1500
const LABEL = { network: 'blue', vni: 4097, port: 4789 } as const

export class Lab {
  readonly hosts: readonly LabHost[]
  /** Where the cables end: port `pN` for host N, counted from 1. */
  readonly switch: Namespace

  /** @param underlay family of the tunnel ends */
  constructor(t: Test, count: number, underlay: 'ipv4' | 'ipv6') {
    this.switch = anotherNamespace(t)
    this.switch.link.add({ name: 'sw', info: { kind: 'bridge' } })
    const master = this.switch.link.get('sw').index
    this.switch.link.set(master, { up: true })
    this.hosts = Array.from({ length: count }, (_, i) => this.#host(t, i + 1, master, underlay))
  }

  /** The others, as one host is to see them. */
  peersOf(one: LabHost): Peer[] { return this.hosts.filter(host => host !== one).map(({ peer }) => peer) }

  /** The container's addresses on host N, counted from 1. */
  static addresses(number: number): readonly [string, string] { return [`10.210.${number}.2`, `fd00:210:${number}::2`] }

  /** Another MTU of the underlay, on the cable of host N. */
  setUnderlayMtu(number: number, mtu: number): void {
    const { ns } = this.hosts[number - 1]!
    ns.link.set(ns.link.get('eth0').index, { mtu })
  }

  #host(t: Test, number: number, master: number, underlay: 'ipv4' | 'ipv6'): LabHost {
    const [ns, pod] = [anotherNamespace(t), anotherNamespace(t)]
    const ends = [`192.0.2.${number}`, `2001:db8::${number}`] as const
    connect(
      { ns: this.switch, name: `p${number}`, addresses: [], master },
      { ns, name: 'eth0', addresses: [`${ends[0]}/24`, `${ends[1]}/64`] },
    )
    const prefixes = [`10.210.${number}.0/24`, `fd00:210:${number}::/64`]
    const [address4, address6] = Lab.addresses(number)
    const gateways = [`10.210.${number}.1`, `fd00:210:${number}::1`]
    connect(
      { ns, name: 'veth0', addresses: [`${gateways[0]}/24`, `${gateways[1]}/64`] },
      { ns: pod, name: 'eth0', addresses: [`${address4}/24`, `${address6}/64`] },
    )
    ns.run(() => {
      for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
    })
    const dev = pod.link.get('eth0').index
    for (const [dst, via] of [['0.0.0.0/0', gateways[0]], ['::/0', gateways[1]]] as const)
      pod.route.add({ dst, via, dev })
    const vtep = underlay === 'ipv4' ? ends[0] : ends[1]
    const mac = `02:cb:00:00:00:${number.toString(16).padStart(2, '0')}`
    // The host itself sends from the first address of its prefixes.
    const addresses = [`10.210.${number}.0/32`, `fd00:210:${number}::/128`]
    return { ns, pod, overlay: { ...LABEL, vtep, mac, addresses, ipv6: true }, peer: { vtep, mac, prefixes } }
  }
}

const HEADERS = { ipv4: 28, ipv6: 48 } as const // of IP and ICMP

/** Whether a packet of exactly so many bytes, not to be fragmented, comes through and back. */
export const fits = (from: Namespace, address: string, bytes = UNDERLAY_MTU): boolean => {
  const size = bytes - HEADERS[address.includes(':') ? 'ipv6' : 'ipv4']
  return from.run(() => spawnSync('ping', ['-n', '-c1', '-W1', '-Mdo', `-s${size}`, address])).status === 0
}
