// Network configuration lists as an administrator writes them into /etc/cni/net.d.
import type { Machine } from './machine.ts'

/** A dual-stack network. `octet` numbers its bridge and prefixes; `bridge` and `ipam` add keys, `chained` plugins. */
export type Network = {
  readonly name: string
  readonly octet: number
  readonly cniVersion: string
  readonly bridge?: Readonly<Record<string, unknown>>
  readonly ipam?: Readonly<Record<string, unknown>>
  readonly chained?: readonly Readonly<Record<string, unknown>>[]
}

/** The name of a network's bridge. */
export const bridgeOf = ({ octet }: Network): string => `bridge${octet}`

/** Writes the network: bridge as the gateway, host-local with an address of each family and default routes. */
export const writeNetwork = (machine: Machine, network: Network): void => {
  const { name, octet, cniVersion, bridge, chained = [] } = network
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: `10.77.${octet}.0/24` }], [{ subnet: `fd77:${octet}::/64` }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    ...network.ipam,
  }
  const first = { type: 'bridge', bridge: bridgeOf(network), isGateway: true, ipam, ...bridge }
  machine.write(`/etc/cni/net.d/${octet}-${name}.conflist`, { cniVersion, name, plugins: [first, ...chained] })
}
