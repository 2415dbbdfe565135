// What a configuration asks of the bridge plugin, decided before anything is touched.
import { invalidConfig } from '#cni/errors.ts'
import type { Namespace } from '#net/namespace.ts'
import type { FromSchema } from '#cni/schema.ts'
import { CniError } from '#cni/errors.ts'
import type { schema } from './config.ts'

export type Config = FromSchema<typeof schema>

/** The VLANs of `vlanTrunk`, sorted, each once. @throws CniError 7 */
export const trunkVlans = (items: Config['vlanTrunk']): readonly number[] => {
  const vids = new Set<number>()
  for (const { id, minID, maxID } of items ?? []) {
    if ((minID === undefined) !== (maxID === undefined)) {
      throw invalidConfig(`vlanTrunk has minID ${minID} with maxID ${maxID}`, 'minID and maxID go together')
    }
    if (id === undefined && minID === undefined) throw invalidConfig('vlanTrunk has an entry without id', 'give id, or minID and maxID')
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

/** Whether the bridge carries the gateway's address. */
export const isGateway = (config: Partial<Config>): boolean => config.isGateway === true || config.isDefaultGateway === true

/** Refuses combinations of keys that cannot mean anything. @throws CniError 7 */
export const refuseContradictions = (config: Config, layer3: boolean): void => {
  if (config.hairpinMode && config.promiscMode) {
    throw invalidConfig('hairpinMode true and promiscMode true exclude each other', 'choose one of them')
  }
  if (config.disableContainerInterface && layer3) {
    throw invalidConfig('disableContainerInterface true needs a network without ipam', 'an interface that is down can have no routes')
  }
  if (config.internal && config.ipMasq) throw invalidConfig('internal true and ipMasq true exclude each other', 'an internal network has no way out')
  if (config.internal && config.isDefaultGateway) {
    throw invalidConfig('internal true and isDefaultGateway true exclude each other', 'use isGateway for a network that reaches its host only')
  }
  trunkVlans(config.vlanTrunk)
}

/** Refuses what this kernel cannot do. @throws CniError 104 */
export const refuseUnsupported = (config: Partial<Config>, host: Namespace): void => {
  if (wantsVlans(config) && !host.vlan.supported()) {
    throw new CniError('unsupportedByKernel', `vlan ${config.vlan} or vlanTrunk needs VLAN filtering on bridges, which this kernel lacks`, 'use a kernel with CONFIG_BRIDGE_VLAN_FILTERING')
  }
}
