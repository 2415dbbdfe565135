// A network at one moment, as the store has it: its configuration and who has which addresses.
import { isKeyOfBlock, networkKey, nets, readNetKey } from './layout.ts'
import type { Member } from './member.ts'
import { readConfig, type NetworkConfig } from './network.ts'
import { OverlayError } from './overlay-error.ts'
import { recordOf, type BlockRecord } from './records.ts'
import type { Entry } from './store/store.ts'

export interface NetworkView {
  readonly name: string
  readonly entry: Entry
  readonly config: NetworkConfig
  /** By block, `10.1.2.0/24`. */
  readonly blocks: ReadonlyMap<string, Entry>
  /** By key. */
  readonly statics: ReadonlyMap<string, Entry>
}

/** Looks at a network. @throws OverlayError `no-network`; StoreError */
export const viewNetwork = async (member: Member, name: string): Promise<NetworkView> => {
  const { entries } = await member.store.list(nets.key(`${name}/`))
  const entry = entries.find(({ key }) => key === networkKey(name))
  const config = entry && readConfig(entry)
  if (entry !== undefined && config === undefined)
    throw new OverlayError('no-network', `what the store holds of network ${name} is no configuration`,
      `fairlead overlay rm ${name}, and make it again`)
  if (config?.leaving === true)
    throw new OverlayError('no-network', `network ${name} is being removed`,
      `fairlead overlay rm ${name} ends that, or takes it back when the network is in use`)
  if (entry === undefined || config === undefined)
    throw new OverlayError('no-network', `there is no network ${name}`, 'fairlead overlay create')
  const blocks = new Map<string, Entry>()
  const statics = new Map<string, Entry>()
  for (const found of entries) {
    const part = readNetKey(found.key)?.part
    const { block } = part === 'blocks' ? recordOf<BlockRecord>(found) : {}
    if (isKeyOfBlock(found.key, name, block)) blocks.set(block, found)
    if (part === 'static') statics.set(found.key, found)
  }
  return { name, entry, config, blocks, statics }
}
