// Three ways between the containers of two hosts, for the same packets: the overlay as agent and plugin lay it, the
// layout of flannel's VXLAN back end, and routing without a tunnel. All on one underlay, each with hosts of its own.
import { eventually, Fleet } from '../tools/fleet.ts'
import { anotherNamespace, connect, output, ownNamespace } from '../tools/kernel.ts'
import { layNetwork } from './overlay-network.ts'
import type { Scope } from './scope.ts'

type Namespace = ReturnType<typeof anotherNamespace>

/** A container on each of two hosts; paths of their network namespaces. */
export interface Path {
  client: string
  server: string
  /** Of the server. */
  address: string
}

export const pathNames = ['overlay', 'flannel', 'routed'] as const
export type Paths = Record<typeof pathNames[number], Path>

/** Runs commands of ip(8) and bridge(8), one in each line. */
function run(where: Namespace, commands: string): void {
  for (const command of commands.trim().split('\n')) {
    const [program = '', ...words] = command.trim().split(' ')
    output(where, program, words)
  }
}

/** A host on the switch of the test, with a bridge for containers and one container on it. */
function layHost(scope: Scope, switchboard: Namespace, number: number, subnet: string, mtu: number) {
  const [host, pod] = [anotherNamespace(scope), anotherNamespace(scope)]
  connect(
    { ns: switchboard, name: `port${number}`, addresses: [], master: switchboard.link.get('sw').index },
    { ns: host, name: 'eth0', addresses: [`192.0.2.${number}/24`] },
  )
  run(host, `
    ip link add cni0 mtu ${mtu} up type bridge
    ip address add ${subnet}.1/24 dev cni0
    sysctl -q net.ipv4.ip_forward=1`)
  connect(
    { ns: host, name: 'pod0', addresses: [], master: host.link.get('cni0').index },
    { ns: pod, name: 'eth0', addresses: [`${subnet}.2/24`] },
  )
  host.link.set(host.link.get('pod0').index, { mtu })
  pod.link.set(pod.link.get('eth0').index, { mtu })
  run(pod, `ip route add default via ${subnet}.1`)
  return { host, pod }
}

/** Two hosts, told of each other by `know`. */
function layPair(
  scope: Scope, switchboard: Namespace, numbers: [number, number], network: string, mtu: number,
  know: (host: Namespace, own: number, other: number) => void,
): Path {
  const [client, server] = numbers.map((number) =>
    layHost(scope, switchboard, number, `${network}.${number}`, mtu)) as [Pair, Pair]
  know(client.host, ...numbers)
  know(server.host, numbers[1], numbers[0])
  return { client: client.pod.path, server: server.pod.path, address: `${network}.${numbers[1]}.2` }
}

type Pair = ReturnType<typeof layHost>

const hardware = (number: number): string => `02:f1:00:00:00:${number}`

/** As flannel's documentation and its nodes show it: one route, one neighbour, one forwarding entry per other host. */
function knowAsFlannel(host: Namespace, own: number, other: number): void {
  run(host, `
    ip link add flannel.1 address ${hardware(own)} type vxlan id 1 local 192.0.2.${own} dev eth0 nolearning dstport 8472
    ip address add 10.244.${own}.0/32 dev flannel.1
    ip link set flannel.1 mtu 1450 up
    ip route add 10.244.${other}.0/24 via 10.244.${other}.0 dev flannel.1 onlink
    ip neighbour add 10.244.${other}.0 lladdr ${hardware(other)} dev flannel.1 nud permanent
    bridge fdb append ${hardware(other)} dev flannel.1 dst 192.0.2.${other} self permanent`)
}

function knowByRoute(host: Namespace, _own: number, other: number): void {
  run(host, `ip route add 10.245.${other}.0/24 via 192.0.2.${other}`)
}

/** The overlay: two real agents, a container on each host that the plugin has attached. */
async function layOverlay(scope: Scope, fleet: Fleet): Promise<Path> {
  await layNetwork(scope, 'blue', '10.200.0.0/16')
  for (const host of fleet.hosts) await host.start()
  for (const host of fleet.hosts)
    await eventually('a part in the network', async () => (await host.ask({ op: 'join', network: 'blue' })).ok)
  const [client, server] = fleet.hosts.map((host) => host.attach('blue'))
  const address = server?.addresses[0]
  if (!client || !server || !address) throw new Error('no containers')
  return { client: client.ns.path, server: server.ns.path, address }
}

/** Lays all of them. */
export async function layPaths(scope: Scope): Promise<Paths> {
  const own = ownNamespace(scope)
  const fleet = new Fleet(scope, own, 2)
  return {
    overlay: await layOverlay(scope, fleet),
    flannel: layPair(scope, own, [11, 12], '10.244', 1450, knowAsFlannel),
    routed: layPair(scope, own, [21, 22], '10.245', 1500, knowByRoute),
  }
}
