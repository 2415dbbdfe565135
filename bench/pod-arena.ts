// A machine of its own where containerd runs many pods at once: one subject's plugins, or the machine's own network.
import { readdirSync, readFileSync } from 'node:fs'
import { socket, startContainerd } from '../system/containerd.ts'
import { RuntimeService } from '../system/cri.ts'
import { importImage } from '../system/image.ts'
import { privateMachine } from '../system/machine.ts'
import type { Machine, Scope } from '../system/machine.ts'
import { writeNetwork } from '../system/networks.ts'
import { layRootfs } from '../system/rootfs.ts'

/** Whose plugins are in the machine, and whether the pods have a network of theirs. */
export interface PodSubject {
  name: string
  plugins: string
  network: boolean
}

/** What is timed; the last one ends when all pods are gone. */
export const phases = ['create', 'stop', 'remove'] as const

/** Milliseconds, for all pods. `cpu` is user and system time of every process of the machine. */
export interface PodCost {
  wall: number
  cpu: number
}

export type PodRound = Record<typeof phases[number], PodCost>

const image = 'localhost/harbour:1'
const firstPort = 10_000
const millisecondsPerTick = 10

const network = {
  name: 'quay',
  octet: 1,
  cniVersion: '1.0.0',
  bridge: { ipMasq: true },
  ipam: { ranges: [[{ subnet: '10.77.1.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
  chained: [{ type: 'portmap', capabilities: { portMappings: true } }],
}

/** proc(5): utime, stime, and the same of children that are gone, after the name, which may have blanks. */
function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
}

export class PodArena {
  readonly subject: PodSubject
  readonly #machine: Machine
  readonly #runtime: RuntimeService
  readonly #pods: number
  #round = 0

  private constructor(subject: PodSubject, machine: Machine, runtime: RuntimeService, pods: number) {
    this.subject = subject
    this.#machine = machine
    this.#runtime = runtime
    this.#pods = pods
  }

  /** Starts the machine and its containerd. @throws Error with the reason when it cannot run a container here */
  static async open(scope: Scope, subject: PodSubject, pods: number): Promise<PodArena> {
    const machine = await privateMachine(scope, subject.plugins)
    layRootfs(machine)
    writeNetwork(machine, network)
    const unable = startContainerd(machine, image)
    if (unable) throw new Error(unable)
    importImage(machine, image, ['/bin/sleep', '100000'])
    const runtime = new RuntimeService(machine.path(socket))
    scope.teardown(() => runtime.close())
    return new PodArena(subject, machine, runtime, pods)
  }

  /** All pods are created at once, then stopped at once, then removed at once. @throws Error when one of them fails */
  async round(): Promise<PodRound> {
    this.#round += 1
    const pods = Array.from({ length: this.#pods }, (_, i) => ({
      name: `r${this.#round}p${i}`,
      hostNetwork: !this.subject.network,
      ports: this.subject.network ? [{ hostPort: firstPort + i, containerPort: 80 }] : [],
    }))
    let ids: string[] = []
    return {
      create: await this.#timed(async () => { ids = await Promise.all(pods.map((pod) => this.#runtime.run(pod))) }),
      stop: await this.#timed(() => Promise.all(ids.map((id) => this.#runtime.stop(id)))),
      remove: await this.#timed(() => Promise.all(ids.map((id) => this.#runtime.discard(id)))),
    }
  }

  async #timed(step: () => Promise<unknown>): Promise<PodCost> {
    const [start, before] = [performance.now(), this.#processorTime()]
    await step()
    return { wall: performance.now() - start, cpu: this.#processorTime() - before }
  }

  /** Of all that runs or ran in the machine: its first process waits for those that others leave behind. */
  #processorTime(): number {
    const proc = this.#machine.path('/proc')
    const pids = readdirSync(proc).filter((name) => /^\d+$/.test(name))
    const ticks = pids.map((pid) => {
      try {
        return ticksOf(readFileSync(`${proc}/${pid}/stat`, 'utf8'))
      } catch {
        return 0 // gone meanwhile: its parent has it
      }
    })
    return ticks.reduce((sum, more) => sum + more, 0) * millisecondsPerTick
  }
}
