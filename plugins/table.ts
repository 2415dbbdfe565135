// The plugins of the executable: a name in CNI_PATH, and where its driver is. A new plugin is one more line.
import type { AnyDriver } from '#cni/driver.ts'

// Bun's compiler evaluates a module at its first `require`, so only the plugin that is called is. Node needs to be
// lent one.
globalThis.require ??= process.getBuiltinModule('node:module').createRequire(import.meta.url)

const drivers: Readonly<Record<string, () => AnyDriver>> = {
  bandwidth: () => require('./bandwidth/bandwidth.ts').bandwidth,
  bridge: () => require('./bridge/bridge.ts').bridge,
  cluster: () => require('./cluster-ipam/cluster.ts').cluster,
  dummy: () => require('./dummy/dummy.ts').dummy,
  firewall: () => require('./firewall/firewall.ts').firewallPlugin,
  host: () => require('./host/host.ts').host,
  'host-device': () => require('./host-device/host-device.ts').hostDevice,
  'host-local': () => require('./host-local-ipam/host-local.ts').hostLocal,
  ipvlan: () => require('./ipvlan/ipvlan.ts').ipvlan,
  loopback: () => require('./loopback/loopback.ts').loopback,
  macvlan: () => require('./macvlan/macvlan.ts').macvlan,
  none: () => require('./none/none.ts').none,
  overlay: () => require('./overlay/overlay.ts').overlay,
  portmap: () => require('./portmap/portmap.ts').portmap,
  ptp: () => require('./ptp/ptp.ts').ptp,
  sbr: () => require('./sbr/sbr.ts').sbr,
  static: () => require('./static-ipam/static.ts').staticIpam,
  tap: () => require('./tap/tap.ts').tap,
  tuning: () => require('./tuning/tuning.ts').tuning,
  vlan: () => require('./vlan/vlan.ts').vlan,
  vrf: () => require('./vrf/vrf.ts').vrf,
}

export const pluginNames: readonly string[] = Object.keys(drivers)

/** The driver of a plugin name, undefined when there is none of that name. */
export const findDriver = (name: string): AnyDriver | undefined =>
  Object.hasOwn(drivers, name) ? drivers[name]!() : undefined
