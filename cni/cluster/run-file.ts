// What a network is on this host, as the agent says it and the plugin reads it: one JSON file per network. All that an
// ADD needs to know is in it, so that neither the agent nor the store has to be there for one.
import { parsePrefix } from '#net/prefix.ts'
import { sha256 } from '#sys/digest.ts'
import { readText } from '#sys/file.ts'

export const defaultRunDirectory = '/run/cni/fairlead/overlay'

/** An address that a container of this host has although it is in no block of this host's. */
export interface StaticHolder { readonly ip: string; readonly container: string; readonly ifname: string }

export interface RunFile {
  readonly network: string
  readonly vni: number
  readonly port: number
  /** The VXLAN device of this host, or the WireGuard device that all encrypted networks share. */
  readonly device: string
  /** Of packets inside. */
  readonly mtu: number
  readonly addressing: 'hostSubnet' | 'flat'
  readonly internal: boolean
  readonly encryption: 'none' | 'wireguard'
  readonly ranges: readonly { readonly subnet: string; readonly blockLength: number }[]
  /** What this host hands addresses out from. */
  readonly blocks: readonly string[]
  /** Addresses in these blocks that containers of other hosts have. */
  readonly reserved: readonly string[]
  readonly statics: readonly StaticHolder[]
  /** Why this host hands out no addresses any more; the containers that have some keep them. */
  readonly drained?: string
}

/** Longer ones leave no room for what is behind them in a file name. */
const LONGEST_NAME = 200

export const runFilePath = (directory: string, network: string): string =>
  `${directory}/${network.length > LONGEST_NAME ? `~${sha256(network)}` : network}.json`

/** @returns undefined when the agent has not written one @throws SyntaxError when it is no JSON */
export const readRunFile = (directory: string, network: string): RunFile | undefined => {
  const text = readText(runFilePath(directory, network))
  return text === undefined ? undefined : JSON.parse(text) as RunFile
}

/** Whether there is a block for every family of the network. */
export const isUsable = ({ ranges, blocks, drained }: RunFile): boolean => {
  const families = (texts: readonly string[]): ReadonlySet<string | undefined> =>
    new Set(texts.map(text => parsePrefix(text)?.family))
  const wanted = families(ranges.map(({ subnet }) => subnet))
  return drained === undefined && wanted.isSubsetOf(families(blocks))
}
