// What is measured, as data. A bar is an upper limit for our median divided by the peer's, both of the same run.

export type CniVerb = 'VERSION' | 'ADD' | 'DEL'

/** CONNECT opens connections to {@link publishedPort}. */
export type Verb = CniVerb | 'CONNECT'

/** A plugin and its keys beside cniVersion, name, type and prevResult. */
export interface Plugin {
  plugin: string
  keys?: Record<string, unknown>
}

export interface Workload {
  name: string
  /** As in the report. */
  title: string
  plugin: string
  verbs: Verb[]
  /** Ours / peer, at most. */
  bars: Partial<Record<Verb, number>>
  /** A kind of link that the kernel must have. */
  kind?: string
  /** Keys beside cniVersion, name, type and ipam. */
  keys?: Record<string, unknown>
  /** What follows the plugin in the chain; for one container at a time. */
  chained?: Plugin[]
  subnet?: string
  routes?: { dst: string }[]
  /** Addresses that other containers hold already; only their files exist. */
  taken?: number
  /** Containers attached already, by the same plugin. */
  attached?: number
  /** Containers that publish a port already, by the same portmap. */
  published?: number
  /** Containers attached at once; 1 where absent. */
  crowd?: number
  /** Whether floor.c does the kernel's part of this. */
  floor?: boolean
}

const bridge = {
  plugin: 'bridge',
  verbs: ['ADD', 'DEL'] as Verb[],
  keys: { bridge: 'bench0', isGateway: true },
  subnet: '10.88.0.0/16',
  routes: [{ dst: '0.0.0.0/0' }],
}

/** Drivers that stack the container's link on one of the host's. */
const stacked = { ...bridge, keys: { master: 'up0' } }

const masquerade = { ...bridge, keys: { ...bridge.keys, ipMasq: true } }

interface Port {
  hostPort: number
  containerPort: number
  protocol: string
}

/** A port of the host that leads to the container, wherever portmap is in the chain. */
export const publishedPort: Port = { hostPort: 8080, containerPort: 80, protocol: 'tcp' }

/** portmap as a runtime calls it that publishes these. */
export const portmapOf = (portMappings: Port[]): Plugin =>
  ({ plugin: 'portmap', keys: { runtimeConfig: { portMappings } } })

const portmap = portmapOf([publishedPort, { hostPort: 8443, containerPort: 443, protocol: 'tcp' }])

const bandwidth = { ingressRate: 1e9, ingressBurst: 1e8, egressRate: 1e9, egressBurst: 1e8 }

/** What podman and Kubernetes put around a bridge. */
const chained: Plugin[] = [
  portmap,
  { plugin: 'firewall' },
  { plugin: 'bandwidth', keys: bandwidth },
  { plugin: 'tuning', keys: { mtu: 1400, sysctl: { 'net.core.somaxconn': '512' } } },
]

const published = { ...masquerade, chained: [portmap], verbs: ['ADD', 'CONNECT', 'DEL'] as Verb[], bars: {} }

const lease = { plugin: 'host-local', verbs: ['ADD', 'DEL'] as Verb[], bars: {}, subnet: '10.88.0.0/20' }

export const workloads: Workload[] = [
  { name: 'version', title: 'VERSION', plugin: 'bridge', verbs: ['VERSION'], bars: { VERSION: 2.0 } },
  { ...bridge, name: 'bridge', title: 'bridge + host-local', bars: { ADD: 0.65, DEL: 0.75 }, floor: true },
  { ...masquerade, name: 'masquerade', title: 'the same with ipMasq', bars: { ADD: 0.35, DEL: 0.4 } },
  {
    ...masquerade, name: 'portmap', title: 'the same with portmap, 2 ports', chained: [portmap],
    bars: { ADD: 0.25, DEL: 0.25 },
  },
  { ...masquerade, name: 'chain', title: 'the same with firewall, bandwidth and tuning', chained, bars: {} },
  {
    ...stacked, plugin: 'macvlan', name: 'macvlan', title: 'macvlan + host-local', kind: 'macvlan',
    bars: { ADD: 0.85, DEL: 0.8 },
  },
  { ...stacked, plugin: 'ipvlan', name: 'ipvlan', title: 'ipvlan + host-local', kind: 'ipvlan', bars: {} },
  {
    ...stacked, plugin: 'vlan', name: 'vlan', title: 'vlan + host-local', kind: 'vlan', bars: {},
    keys: { master: 'up0', vlanId: 5 },
  },
  { ...bridge, plugin: 'ptp', name: 'ptp', title: 'ptp + host-local', keys: {}, bars: { ADD: 0.85, DEL: 0.8 } },
  { ...lease, name: 'lease-100', title: 'host-local, 100 taken', taken: 100 },
  { ...lease, name: 'lease-1000', title: 'host-local, 1,000 taken', taken: 1000 },
  { ...lease, name: 'lease-4000', title: 'host-local, 4,000 taken', taken: 4000, bars: { ADD: 0.25 } },
  { ...bridge, name: 'crowd', title: '40 at once, per container', crowd: 40, bars: { ADD: 0.9 } },
  { ...masquerade, name: 'grown-10', title: 'bridge + ipMasq, 10 attached', attached: 10, bars: {} },
  { ...masquerade, name: 'grown-100', title: 'bridge + ipMasq, 100 attached', attached: 100, bars: {} },
  { ...masquerade, name: 'grown-1000', title: 'bridge + ipMasq, 1,000 attached', attached: 1000, bars: {} },
  { ...published, name: 'published-10', title: 'bridge + ipMasq + portmap, 10 published', published: 10 },
  { ...published, name: 'published-100', title: 'bridge + ipMasq + portmap, 100 published', published: 100 },
  { ...published, name: 'published-1000', title: 'bridge + ipMasq + portmap, 1,000 published', published: 1000 },
]
