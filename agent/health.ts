// What an agent knows of itself, in numbers.
import type { Metric } from './metrics.ts'
import type { OverlayHost } from './overlay-host.ts'

interface State {
  /** Whether the store is there. */
  readonly follows: boolean
  readonly checksumTrials: number
}

const gauge = (name: string, help: string, value: number): Metric => ({ name, kind: 'gauge', help, value })
const counter = (name: string, help: string, value: number): Metric => ({ name, kind: 'counter', help, value })

/** For Prometheus. */
export const metricsOf = (here: OverlayHost, { follows, checksumTrials }: State): readonly Metric[] => {
  const { picture, counts, shares, networks: { troubles }, member, drained, checksums } = here
  const perNetwork = (name: string, help: string, value: (network: string) => number): Metric[] =>
    Object.keys(shares).map(network => ({ name, kind: 'gauge', help, value: value(network), labels: { network } }))
  return [
    gauge('store_up', 'Whether the store is followed.', follows ? 1 : 0),
    gauge('member', 'Whether this host is a member of its cluster.', member === undefined ? 0 : 1),
    gauge('drained', 'Whether this host hands out no addresses.', drained === undefined ? 0 : 1),
    gauge('hosts', 'Hosts of the cluster.', picture.hostCount),
    gauge('hosts_alive', 'Hosts that give signs of life.', picture.alive.size),
    ...perNetwork('peers', 'Other hosts of a network.', network => picture.peersIn(network).length),
    ...perNetwork('blocks', 'Blocks of addresses of this host.', network => shares[network]!.blocks.length),
    ...perNetwork('lost_blocks', 'Blocks that other hosts took over.', network => shares[network]!.lost.length),
    gauge('troubles', 'Entries that the kernel refuses and hosts without a way to them.', troubles.length),
    counter('changes_total', 'Changes of the store that were followed.', counts.changes),
    counter('synchronisations_total', 'Comparisons of the whole kernel state.', counts.synchronisations),
    counter('mended_total', 'Entries that somebody else had changed.', counts.mended),
    counter('refused_total', 'Changes that were refused.', counts.refused),
    gauge('checksum_offload', 'Whether checksums inside of tunnels are left to the network card.',
      checksums.isOff ? 0 : 1),
    counter('checksum_trials_total', 'Attempts to find out whether they arrive.', checksumTrials),
    gauge('synchronisation_seconds', 'How long the last comparison took.', counts.lastSync / 1000),
    gauge('memory_bytes', 'Memory of the agent.', process.memoryUsage().rss),
  ]
}
