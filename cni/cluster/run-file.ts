// What a network is on this host, as the agent says it and the plugin reads it: one JSON file per network. All that an
// ADD needs to know is in it, so that neither the agent nor the store has to be there for one.
import { parsePrefix } from '#net/prefix.ts'
import { sha256 } from '#sys/digest.ts'
import { readText, status } from '#sys/file.ts'
import type { PoolRange } from './pool.ts'

export const defaultRunDirectory = '/run/cni/fairlead/overlay'

/** An address that a container of this host has although it is in no block of this host's. */
export interface StaticHolder { readonly ip: string; readonly container: string; readonly ifname: string }

interface Part {
  readonly network: string
  /** What this host hands addresses out from. */
  readonly blocks: readonly string[]
  /** Addresses in these blocks that containers of other hosts have. */
  readonly reserved: readonly string[]
  readonly statics: readonly StaticHolder[]
  /** Why this host hands out no addresses any more; the containers that have some keep them. */
  readonly drained?: string
  /**
   * Seconds after which the cluster gives a silent host's addresses to others. The file's modification time is when the
   * store last heard of this host.
   */
  readonly grace?: number
}

export interface OverlayRun extends Part {
  readonly addressing: 'hostSubnet' | 'flat'
  readonly vni: number
  readonly port: number
  /** The VXLAN device of this host, or the WireGuard device that all encrypted networks share. */
  readonly device: string
  /** Of packets inside. */
  readonly mtu: number
  readonly internal: boolean
  readonly encryption: 'none' | 'wireguard'
  readonly ranges: readonly { readonly subnet: string; readonly blockLength: number }[]
}

/** Addresses of a segment that exists already: there is nothing to be set up. */
export interface PoolRun extends Part {
  readonly addressing: 'pool'
  readonly ranges: readonly PoolRange[]
  readonly encryption?: undefined
}

export type RunFile = OverlayRun | PoolRun

/** Longer ones leave no room for what is behind them in a file name. */
const LONGEST_NAME = 200

export const runFilePath = (directory: string, network: string): string =>
  `${directory}/${network.length > LONGEST_NAME ? `~${sha256(network)}` : network}.json`

/** @returns undefined when the agent has not written one @throws SyntaxError when it is no JSON */
export const readRunFile = (directory: string, network: string): RunFile | undefined => {
  const text = readText(runFilePath(directory, network))
  return text === undefined ? undefined : JSON.parse(text) as RunFile
}

/** Whether others may have got what this host has: it has been silent for too long. */
export const isForgotten = (directory: string, { network, grace }: RunFile): boolean => {
  const heard = status(runFilePath(directory, network))?.modified
  return grace !== undefined && heard !== undefined && Date.now() - heard > 1000 * grace
}

/** Whether there is a block for every family of the network; a pool has single addresses, too. */
export const isUsable = ({ addressing, ranges, blocks, drained }: RunFile): boolean => {
  if (addressing === 'pool') return drained === undefined
  const families = (texts: readonly string[]): ReadonlySet<string | undefined> =>
    new Set(texts.map(text => parsePrefix(text)?.family))
  const wanted = families(ranges.map(({ subnet }) => subnet))
  return drained === undefined && wanted.isSubsetOf(families(blocks))
}
