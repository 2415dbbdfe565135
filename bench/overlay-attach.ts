// What a container costs on a warm node of an overlay, beside one on a bridge: the same host, in turn.
import { join } from 'node:path'
import { eventually, Fleet } from '../tools/fleet.ts'
import { anotherNamespace, ownNamespace } from '../tools/kernel.ts'
import { layNetwork } from './overlay-network.ts'
import type { Scope } from './scope.ts'
import { Stopwatch } from './stopwatch.ts'
import type { Cost } from './stopwatch.ts'
import { Caller } from './subject.ts'
import type { Plugin } from './workloads.ts'

/** What {@link Caller} calls every network. */
const network = 'bench'

/** Costs of whole processes, one of each per round. */
export interface Attachments {
  overlay: Record<'ADD' | 'DEL', Cost[]>
  bridge: Record<'ADD' | 'DEL', Cost[]>
}

/** @param bin directory of the plugins */
export async function measureAttachments(
  scope: Scope, stopwatch: Stopwatch, bin: string, rounds: number,
): Promise<Attachments> {
  const [host] = new Fleet(scope, ownNamespace(scope), 1).hosts
  if (!host) throw new Error('no host')
  const pod = anotherNamespace(scope)
  await layNetwork(scope, network, '10.200.0.0/16')
  await host.start()
  await eventually('a part in the network', async () => (await host.ask({ op: 'join', network })).ok)
  const [ranges, routes] = [[[{ subnet: '10.88.0.0/16' }]], [{ dst: '0.0.0.0/0' }]]
  const ipam = { type: 'host-local', dataDir: join(stopwatch.folder, 'bridged'), ranges, routes }
  const plugins: Record<keyof Attachments, Plugin> = {
    overlay: { plugin: 'overlay', keys: host.config(network) as Record<string, unknown> },
    bridge: { plugin: 'bridge', keys: { bridge: 'bench0', isGateway: true, ipam } },
  }
  const caller = new Caller({ name: 'ours', program: (plugin) => join(bin, plugin) }, stopwatch, host.ns.path)
  const costs: Attachments = { overlay: { ADD: [], DEL: [] }, bridge: { ADD: [], DEL: [] } }
  // One round before the first is not counted: it makes the bridge, and fills the page cache.
  for (let round = 0; round <= rounds; round += 1) {
    for (const who of ['overlay', 'bridge'] as const) {
      const container = { CNI_CONTAINERID: `r${round}`, CNI_NETNS: pod.path, CNI_IFNAME: 'eth0' }
      const added = caller.call('ADD', plugins[who], [container])
      const deleted = caller.call('DEL', plugins[who], [container], JSON.parse(added.output))
      if (round === 0) continue
      costs[who].ADD.push(...added.costs)
      costs[who].DEL.push(...deleted.costs)
    }
  }
  return costs
}
