// An agent among thousands of hosts, of which one is real: how long it takes to list and program them, and its memory.
import { setTimeout } from 'node:timers/promises'
import { memoryOf, processorTimeOf } from '../tools/agent-process.ts'
import { eventually, Fleet } from '../tools/fleet.ts'
import type { FleetHost } from '../tools/fleet.ts'
import { output, ownNamespace } from '../tools/kernel.ts'
import { blockEntry, removeEntries, simulatedBlock, simulateHosts, writeEntries } from '../tools/simulated-hosts.ts'
import { layNetwork, store } from './overlay-network.ts'
import type { Scope } from './scope.ts'

const network = 'blue'

/** What listing has taken is given back a moment later, milliseconds. */
const settling = 3000

/** Times in milliseconds, memory in MB; one of each per round. */
export interface Crowd {
  /** From the agent's start on a host whose kernel knows nothing, as after a reboot, until all are programmed. */
  cold: number[]
  /** The agent's processor time until then. */
  coldCpu: number[]
  /** From asking a running agent for a part in the network until a block is claimed and all are programmed. */
  joined: number[]
  /** From the agent's start, with everything in place, until it is a member and has looked at all of it. */
  restarted: number[]
  /** From writing one more block to the store until it is programmed. */
  change: number[]
  peak: number[]
  memory: number[]
}

const agentOf = ({ agent }: FleetHost): number => agent?.pid ?? NaN

const addressOf = (block: string): string => block.replace(/0\/24$/, '1')

/** Everything is there, no more and no less: a route for each host, and the one that fences the network off. */
function requireAll(host: FleetHost, count: number): void {
  const found = output(host.ns, 'ip', ['route', 'show', 'proto', '203']).trim().split('\n').length
  if (found !== count + 1) throw new Error(`${host.name}: ${found} routes instead of ${count + 1}`)
}

/** Waits until a block is programmed. @returns milliseconds since `since` */
async function programmed(host: FleetHost, block: string, since: number, is = true): Promise<number> {
  for (;;) {
    const leads = host.run(network) !== undefined && host.routesInto(network, addressOf(block))
    if (leads === is) return performance.now() - since
    if (performance.now() - since > 60_000) throw new Error(`${block} is not programmed in 60 s`)
    await setTimeout(2)
  }
}

/** Takes away what a reboot would. */
function forgetKernel(host: FleetHost): void {
  host.ns.link.remove(host.run(network)!.device)
  for (const command of ['ip route flush proto 203', 'nft delete table inet fairlead_overlay']) {
    const [program = '', ...words] = command.split(' ')
    output(host.ns, program, words)
  }
}

async function joinedAmong(host: FleetHost, count: number): Promise<void> {
  await eventually('all hosts are listed', async () => {
    const answer = await host.ask({ op: 'status' })
    return !('obstacle' in answer) && 'hosts' in answer && Number(answer.hosts) > count
  }, 60_000)
}

/** @param count simulated hosts beside the real one */
export async function measureCrowd(scope: Scope, count: number, rounds: number): Promise<Crowd> {
  const [host] = new Fleet(scope, ownNamespace(scope), 1).hosts
  if (!host) throw new Error('no host')
  await layNetwork(scope, network, '10.0.0.0/8')
  await simulateHosts(store, network, count)
  output(host.ns, 'ip', ['route', 'add', 'default', 'via', '192.0.2.254'])
  // The agent works through the blocks in their order.
  const last = simulatedBlock(count - 1)
  const crowd: Crowd = { cold: [], coldCpu: [], joined: [], restarted: [], change: [], peak: [], memory: [] }
  await host.start()
  await joinedAmong(host, count)
  for (let round = 0; round < rounds; round += 1) {
    const asked = performance.now()
    await host.insist({ op: 'join', network })
    crowd.joined.push(await programmed(host, last, asked))
    requireAll(host, count)
    await host.stop('SIGTERM')

    const again = performance.now()
    await host.start()
    await joinedAmong(host, count)
    crowd.restarted.push(performance.now() - again)
    await host.stop('SIGTERM')

    forgetKernel(host)
    const begun = performance.now()
    await host.start()
    crowd.cold.push(await programmed(host, last, begun))
    crowd.coldCpu.push(processorTimeOf(agentOf(host)))
    requireAll(host, count)
    await joinedAmong(host, count)

    await setTimeout(settling)
    const [more, block] = [blockEntry(network, 'x7', '10.99.0.0/24'), '10.99.0.0/24']
    const written = performance.now()
    await writeEntries(store, more)
    crowd.change.push(await programmed(host, block, written))
    await removeEntries(store, more)
    await programmed(host, block, performance.now(), false)
    crowd.peak.push(memoryOf(agentOf(host), 'VmHWM'))
    crowd.memory.push(host.memory)
    await host.insist({ op: 'leave', network })
  }
  return crowd
}
