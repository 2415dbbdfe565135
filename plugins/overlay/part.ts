// This host's part in an overlay, and what a configuration says of it.
import type { Part } from '#cni/cluster/part.ts'
import type { OverlayRun, RunFile } from '#cni/cluster/run-file.ts'
import type { Call } from '#cni/driver.ts'
import { invalidConfig } from '#cni/errors.ts'
import type { FromSchema } from '#cni/schema.ts'
import type { schema } from './config.ts'

export type Config = FromSchema<typeof schema>

type Subject = Pick<Call<Config>, 'config' | 'network'>

/** What the network is made with if the store has none of its name. */
const wishOf = ({ ranges, addressing, vni, port, internal, encryption }: Config): object | undefined =>
  ranges === undefined ? undefined : { ranges, addressing, vni, port, internal, encryption }

/** @throws CniError 7 for keys that contradict what the network is */
const requireSame = ({ config, network }: Subject, run: RunFile): OverlayRun => {
  if (run.addressing === 'pool')
    throw invalidConfig(`network ${network} is a pool of addresses, not an overlay`, 'give one of them another name')
  for (const key of ['addressing', 'vni', 'port', 'internal', 'encryption'] as const) {
    const wanted = config[key]
    if (wanted === undefined || wanted === run[key]) continue
    throw invalidConfig(`${key} ${wanted}: network ${network} has ${key} ${run[key]}`,
      'correct it or leave it out: a network is the same on all hosts')
  }
  const subnets = run.ranges.map(({ subnet }) => subnet)
  const other = config.ranges?.find(({ subnet }) => !subnets.includes(subnet))
  if (other === undefined) return run
  throw invalidConfig(`ranges: ${other.subnet} is not of network ${network}, which has ${subnets.join(', ')}`,
    'correct it or leave it out: a network is the same on all hosts')
}

/** The overlay that a configuration names. */
export const partIn = ({ config, network }: Subject): Part<OverlayRun> => ({
  network, asker: config, wish: wishOf(config), agree: run => requireSame({ config, network }, run),
})
