// How soon a new host of an overlay is reachable from all the others: hosts are network namespaces with the real agent
// each, and with one real etcd.
import { setTimeout } from 'node:timers/promises'
import { eventually, Fleet } from '../tools/fleet.ts'
import type { FleetHost } from '../tools/fleet.ts'
import { ownNamespace, pings } from '../tools/kernel.ts'
import { layNetwork } from './overlay-network.ts'
import type { Scope } from './scope.ts'

const network = 'blue'

/** For how long an agent is asked again, and how soon after a refusal, milliseconds. */
const [patience, pause] = [15_000, 2]

/** Milliseconds, of each host in turn. */
export interface Reach {
  /** From asking the agent for a part in the network, as the first ADD does. */
  joined: number[]
  /** The same from the start of the agent's process. */
  started: number[]
  /** Of one agent, MB. */
  memory: number
}

/** What a host sends from into the network: the first address of its first block. */
const ownAddress = (host: FleetHost): string => host.run(network)?.blocks[0]?.split('/')[0] ?? ''

const isMember = async (host: FleetHost): Promise<boolean> => !('obstacle' in await host.ask({ op: 'status' }))

/** Waits until all others lead packets for the host into the overlay. @throws Error when one of them is not right */
async function reachable(host: FleetHost, others: FleetHost[], since: number): Promise<number> {
  const address = ownAddress(host)
  const waiting = new Set(others)
  while (waiting.size > 0) {
    for (const other of waiting) if (other.routesInto(network, address)) waiting.delete(other)
    if (waiting.size > 0) await setTimeout(1)
    if (performance.now() - since > 30_000) throw new Error(`${host.name} is not reachable from all others in 30 s`)
  }
  const time = performance.now() - since
  const deaf = others.find((other) => !pings(other.ns, address))
  if (deaf) throw new Error(`${deaf.name} does not reach ${host.name}`)
  return time
}

/** Has a host give up its part, until the others know. */
async function leave(host: FleetHost, others: FleetHost[]): Promise<void> {
  const address = ownAddress(host)
  await host.insist({ op: 'leave', network })
  await eventually('all know that it has left', () => !others.some((other) => other.routesInto(network, address)))
}

/** `rounds` times each of `count` hosts leaves and comes back, while all others stay. */
export async function measureReach(scope: Scope, count: number, rounds: number): Promise<Reach> {
  const { hosts } = new Fleet(scope, ownNamespace(scope), count)
  await layNetwork(scope, network, '10.200.0.0/16')
  for (const host of hosts) await host.start()
  for (const host of hosts) await eventually('a member', () => isMember(host))
  for (const host of hosts) await host.insist({ op: 'join', network })
  const reach: Reach = { joined: [], started: [], memory: NaN }
  for (let round = 0; round < rounds; round += 1) {
    for (const host of hosts) {
      const others = hosts.filter((other) => other !== host)
      await leave(host, others)
      const asked = performance.now()
      await host.insist({ op: 'join', network }, patience, pause)
      reach.joined.push(await reachable(host, others, asked))
      await leave(host, others)
      await host.stop('SIGTERM')
      const begun = performance.now()
      await host.start()
      await host.insist({ op: 'join', network }, patience, pause)
      reach.started.push(await reachable(host, others, begun))
    }
  }
  reach.memory = Math.max(...hosts.map((host) => host.memory))
  return reach
}
