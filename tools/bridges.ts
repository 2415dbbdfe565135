// For *.kernel.test.ts: several bridges of a host with containers on them, made without a plugin, and the results that
// a plugin would have given.
import type { Json } from '#cni/json.ts'
import { hostLinkName } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { anotherNamespace, connect } from './kernel.ts'

interface Test { teardown(step: () => void): unknown }

/** A container on a bridge, `eth0` in it. */
export interface Container {
  readonly pod: Namespace
  readonly containerId: string
  /** Without prefix length, IPv4 and IPv6. */
  readonly addresses: readonly [string, string]
  readonly prevResult: Json
}

/** A bridge `brN` with the gateway's addresses 10.1.N.1/24 and fd00:N::1/64, up. */
export const addBridge = (host: Namespace, n: number): void => {
  host.link.add({ name: `br${n}`, up: true, info: { kind: 'bridge' } })
  const { index } = host.link.get(`br${n}`)
  for (const address of [`10.1.${n}.1/24`, `fd00:${n}::1/64`])
    host.addr.add({ index, address, noDad: address.includes(':') })
}

/** A container `cN-M` on `brN` with the addresses 10.1.N.M and fd00:N::M and default routes. */
export const addContainer = (t: Test, host: Namespace, n: number, m: number): Container => {
  const pod = anotherNamespace(t)
  const containerId = `c${n}-${m}`
  const veth = hostLinkName({ network: 'net', containerId, ifName: 'eth0' })
  const addresses = [`10.1.${n}.${m}`, `fd00:${n}::${m}`] as const
  const prefixes = [`${addresses[0]}/24`, `${addresses[1]}/64`]
  connect(
    { ns: host, name: veth, addresses: [], master: host.link.get(`br${n}`).index },
    { ns: pod, name: 'eth0', addresses: prefixes },
  )
  const { index } = pod.link.get('eth0')
  const gateways = [`10.1.${n}.1`, `fd00:${n}::1`] as const
  pod.route.add({ dst: '0.0.0.0/0', via: gateways[0], dev: index })
  pod.route.add({ dst: '::/0', via: gateways[1], dev: index })
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: `br${n}` }, { name: veth }, { name: 'eth0', sandbox: pod.path }],
    ips: prefixes.map((address, i) => ({ address, gateway: gateways[i], interface: 2 })),
  }
  return { pod, containerId, addresses, prevResult }
}
