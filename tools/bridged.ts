// For *.kernel.test.ts of chained plugins: a host that forwards, with a bridge, two containers on it and a neighbour on
// its uplink, all of it as a plugin before would have left it.
import type { AnyDriver } from '#cni/driver.ts'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { trySysctl, writeSysctl } from '#net/sysctl.ts'
import { connect } from './kernel.ts'
import { Node } from './node.ts'

interface Test { teardown(step: () => void): unknown }

export const addresses = {
  bridge: ['10.1.2.1/24', 'fd00:1::1/64'],
  pod: ['10.1.2.2/24', 'fd00:1::2/64'],
  sibling: ['10.1.2.3/24', 'fd00:1::3/64'],
  host: ['192.0.2.1/24', '192.0.2.11/24', '2001:db8::1/64', '2001:db8::11/64'],
  outside: ['192.0.2.2/24', '2001:db8::2/64'],
} as const

const isIpv6 = (address: string): boolean => address.includes(':')

export class Bridged extends Node {
  readonly bridge: number
  readonly first: Namespace
  readonly sibling: Namespace
  readonly outside: Namespace

  constructor(t: Test, driver: AnyDriver, basis: Json = {}) {
    super(t, driver, basis)
    const { host } = this
    this.outside = this.uplink({ own: addresses.host, there: addresses.outside })
    host.link.add({ name: 'br0', info: { kind: 'bridge' }, up: true })
    this.bridge = host.link.get('br0').index
    for (const address of addresses.bridge) host.addr.add({ index: this.bridge, address, noDad: true })
    host.run(() => {
      for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
      for (const name of ['iptables', 'ip6tables']) trySysctl(`bridge/bridge-nf-call-${name}`, '0')
    })
    this.first = this.plugIn('pod0', addresses.pod)
    this.sibling = this.plugIn('pod1', addresses.sibling)
    for (const [dst, via] of [['10.1.2.0/24', '192.0.2.1'], ['fd00:1::/64', '2001:db8::1']] as const)
      this.outside.route.add({ dst, via, dev: this.outside.link.get('out0').index })
  }

  /** A container on the bridge. @param port name of the host's end */
  plugIn(port: string, own: readonly string[]): Namespace {
    const pod = this.pod()
    connect(
      { ns: this.host, name: port, addresses: [], master: this.bridge }, { ns: pod, name: 'eth0', addresses: own },
    )
    for (const address of own) {
      const [dst, via] = isIpv6(address) ? ['::/0', 'fd00:1::1'] : ['0.0.0.0/0', '10.1.2.1']
      pod.route.add({ dst, via, dev: pod.link.get('eth0').index })
    }
    return pod
  }

  /** What the plugin before has made of a container. */
  resultFor(pod: Namespace, own: readonly string[], ifName = 'eth0'): Json {
    return {
      cniVersion: '1.1.0', interfaces: [{ name: ifName, sandbox: pod.path }],
      ips: own.map(address => ({ address, interface: 0 })),
    }
  }
}
