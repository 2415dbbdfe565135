// What a configuration asks of the bridge plugin, decided before anything is touched.
import { CniError, invalidConfig } from '#cni/errors.ts'
import { refuseMtu } from '#cni/interface.ts'
import { lackingInKernel, requireKinds } from '#cni/kernel.ts'
import type { FromSchema } from '#cni/schema.ts'
import type { Namespace } from '#net/namespace.ts'
import { isAvailable as hasNftables } from '#netlink/nftables/query.ts'
import { accessOf, isMasqueraded, refuseContradictoryAccess } from './access.ts'
import type { schema } from './config.ts'

export type Config = FromSchema<typeof schema>

/** The VLANs of `vlanTrunk`, sorted, each once. @throws CniError 7 */
export const trunkVlans = (items: Config['vlanTrunk']): readonly number[] => {
  const vids = new Set<number>()
  for (const { id, minID, maxID } of items ?? []) {
    if ((minID === undefined) !== (maxID === undefined)) {
      const [given, missing] = minID === undefined ? ['maxID', 'minID'] : ['minID', 'maxID']
      throw invalidConfig(`vlanTrunk has ${given} ${minID ?? maxID} without ${missing}`, 'minID and maxID go together')
    }
    if (id === undefined && minID === undefined) {
      throw invalidConfig('vlanTrunk has an entry without id', 'give id, or minID and maxID')
    }
    if (minID !== undefined && maxID !== undefined) {
      if (minID > maxID) throw invalidConfig(`vlanTrunk has minID ${minID} above maxID ${maxID}`, 'turn them round')
      for (let vid = minID; vid <= maxID; vid++) vids.add(vid)
    }
    if (id !== undefined) vids.add(id)
  }
  return [...vids].sort((one, other) => one - other)
}

/** Whether the network needs a bridge that filters VLANs. */
export const wantsVlans = ({ vlan = 0, vlanTrunk = [] }: Partial<Config>): boolean => vlan > 0 || vlanTrunk.length > 0

/**
 * The link by which packets of the network would reach the host's routing: the bridge, or the gateway's link into a
 * VLAN.
 */
export const routedLink = ({ bridge, vlan }: Pick<Config, 'bridge' | 'vlan'>): string =>
  vlan > 0 ? `${bridge}.${vlan}` : bridge

/** Whether the bridge carries the gateway's address. */
export const isGateway = (config: Partial<Config>): boolean =>
  config.isGateway === true || config.isDefaultGateway === true

const MAX_NAME_BYTES = 15 // IFNAMSIZ of include/uapi/linux/if.h, less the closing NUL

/** Refuses combinations of keys that cannot mean anything. @throws CniError 7 */
export const refuseContradictions = (config: Config, layer3: boolean): void => {
  if (config.hairpinMode && config.promiscMode) {
    throw invalidConfig('hairpinMode true and promiscMode true exclude each other', 'choose one of them')
  }
  if (config.disableContainerInterface && layer3) {
    throw invalidConfig(
      'disableContainerInterface true needs a network without ipam',
      'an interface that is down can have no routes',
    )
  }
  refuseContradictoryAccess(config)
  if (config.internal && config.ipMasq) {
    throw invalidConfig('internal true and ipMasq true exclude each other', 'an internal network has no way out')
  }
  if (config.internal && config.isDefaultGateway) {
    throw invalidConfig(
      'internal true and isDefaultGateway true exclude each other',
      'use isGateway for a network that reaches its host only',
    )
  }
  if (new TextEncoder().encode(config.bridge).length > MAX_NAME_BYTES) {
    throw invalidConfig(`bridge ${JSON.stringify(config.bridge)} is longer than ${MAX_NAME_BYTES} bytes`, 'shorten it')
  }
  const link = routedLink(config)
  if (link.length > MAX_NAME_BYTES) {
    const bridge = JSON.stringify(config.bridge)
    throw invalidConfig(
      `bridge ${bridge} with vlan ${config.vlan} needs a link ${link}, which is longer than ${MAX_NAME_BYTES}`,
      'shorten the bridge\'s name',
    )
  }
  if (config.bridge === '.' || config.bridge === '..') {
    throw invalidConfig(`bridge ${JSON.stringify(config.bridge)} is a directory's name`, 'choose another')
  }
  refuseMtu(config.mtu)
  trunkVlans(config.vlanTrunk)
}

/** Refuses what this kernel cannot do. @throws CniError 104 */
export const refuseUnsupported = (config: Partial<Config>, host: Namespace): void => {
  if (wantsVlans(config) && !host.vlan.supported()) {
    throw new CniError(
      'unsupportedByKernel',
      `vlan ${config.vlan} or vlanTrunk needs VLAN filtering on bridges, which this kernel lacks`,
      'use a kernel with CONFIG_BRIDGE_VLAN_FILTERING',
    )
  }
}

/** For STATUS: what ADD would find missing in this kernel. @throws CniError 50 */
export const requireKernel = (config: Config, host: Namespace): void => {
  requireKinds(host, 'bridge', 'veth')
  const masquerades = isMasqueraded(config, 'ipv4') || isMasqueraded(config, 'ipv6')
  const usesNftables = config.macspoofchk || config.internal || accessOf(config) !== undefined ||
    (masquerades && config.ipMasqBackend === 'nftables')
  if (usesNftables && !hasNftables(host.netfilter)) throw lackingInKernel('nftables')
}
