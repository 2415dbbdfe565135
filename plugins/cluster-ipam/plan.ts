// What a configuration asks of the cluster plugin.
import { countIn, readExclusions, without } from '#cni/address-range.ts'
import { holesOf, differenceOf, readPoolRanges, spanOf, type PoolRange } from '#cni/cluster/pool.ts'
import type { Part } from '#cni/cluster/part.ts'
import type { PoolRun, RunFile } from '#cni/cluster/run-file.ts'
import { invalidConfig } from '#cni/errors.ts'
import { isObject, lookUp, type Json } from '#cni/json.ts'
import { readRoutes } from '#cni/routes.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Config } from './config.ts'

export interface Plan extends Part<PoolRun> {
  readonly ranges: readonly PoolRange[]
  readonly exclude: readonly string[]
}

const KEY = 'ipam.ranges'

/** @throws CniError 7 where all hosts do not agree what the pool is */
const requireSame = (ranges: readonly PoolRange[], { ipam }: Config, network: string, run: RunFile): PoolRun => {
  if (run.addressing !== 'pool')
    throw invalidConfig(`network ${network} is an overlay, not a pool of addresses`, 'give one of them another name')
  const wrong = differenceOf(KEY, ranges, run.ranges, i => ipam.ranges[i]!.blockLength !== undefined)
  if (wrong === undefined) return run
  throw invalidConfig(`${wrong} (network ${network})`,
    `a pool is the same on all hosts: correct it, or remove the containers and \`fairlead overlay rm ${network}\``)
}

/** Ranges of the runtime would be nobody's but this host's. */
const refuseSentRanges = (raw: Json): void => {
  const sent = lookUp(raw, 'runtimeConfig')
  const ranges = isObject(sent) ? lookUp(sent, 'ipRanges') : undefined
  if (Array.isArray(ranges) && ranges.length > 0) {
    throw invalidConfig(`runtimeConfig.ipRanges ${JSON.stringify(ranges)}: the ranges of a pool are the cluster's`,
      'remove the capability "ipRanges"')
  }
}

/** Reads a configuration. @throws CniError 7 that names key and value */
export const planOf = ({ config, raw, network }: { config: Config; raw: Json; network: string }): Plan => {
  const { ipam } = config
  for (const key of ['runDir', 'dataDir'] as const)
    if (!ipam[key].startsWith('/')) throw invalidConfig(`ipam.${key} ${JSON.stringify(ipam[key])} is no absolute path`)
  refuseSentRanges(raw)
  const ranges = readPoolRanges(KEY, ipam.ranges)
  const { exclude = [] } = ipam
  readExclusions(exclude)
  readRoutes(ipam.routes ?? [])
  for (const [i, range] of ranges.entries()) {
    const left = without(spanOf(range), holesOf(ranges, familyOf(range.subnet), exclude))
    if (countIn(left) > 0n) continue
    throw invalidConfig(`${KEY}[${i}] ${range.rangeStart}-${range.rangeEnd} has no address to hand out`,
      'gateway or exclude cover it')
  }
  return {
    network, asker: ipam, ranges, exclude, wish: { addressing: 'pool', ranges },
    agree: run => requireSame(ranges, config, network, run),
  }
}
