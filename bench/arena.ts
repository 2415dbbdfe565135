// The place where one subject does one workload: a host's network namespace, containers' namespaces, an address store.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Cost, Finish, Stopwatch } from './stopwatch.ts'
import type { Verb, Workload } from './workloads.ts'

/** Who is measured: the program that it runs for a plugin. */
export interface Subject {
  name: 'ours' | 'peer' | 'floor'
  program: (plugin: string) => string
}

/** A round: what each process of a verb cost, in the order of starting. */
export type Round = Partial<Record<Verb, Cost[]>>

/** Interfaces that the containers which are only there to be many put into one namespace. */
const interfacesPerNamespace = 50

/** So many of them are attached at once, to save time. */
const attachedAtOnce = 10

function ip(...words: string[]): void {
  const { status, stderr, error } = spawnSync('ip', words, { encoding: 'utf8' })
  if (error || status !== 0) throw error ?? new Error(`ip ${words.join(' ')}: ${stderr}`)
}

/** The address `offset` places after that of `subnet`, IPv4. */
function addressIn(subnet: string, offset: number): string {
  const octets = (subnet.split('/')[0] ?? '').split('.').map(Number)
  const number = octets.reduce((sum, octet) => sum * 256 + octet, 0) + offset
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}

export class Arena {
  readonly subject: Subject
  readonly #workload: Workload
  readonly #stopwatch: Stopwatch
  readonly #host: string
  readonly #store: string
  readonly #namespaces: string[] = []
  #round = 0

  constructor(subject: Subject, workload: Workload, stopwatch: Stopwatch) {
    this.subject = subject
    this.#workload = workload
    this.#stopwatch = stopwatch
    this.#store = join(stopwatch.folder, `${subject.name}-${workload.name}`)
    this.#host = this.#addNamespace('host')
    this.#layUplink(workload.keys?.['master'])
    for (let i = 0; i < (workload.crowd ?? 1); i += 1) this.#addNamespace(`pod${i}`)
    mkdirSync(join(this.#store, 'bench'), { recursive: true })
    this.#take(workload.taken ?? 0)
    this.#attach(workload.attached ?? 0)
    if (subject.name === 'floor') this.#buildBridge()
  }

  /** Each verb of the workload once, for every container of the crowd. @throws Error when a call fails */
  round(): Round {
    this.#round += 1
    const round: Round = {}
    let previous: unknown
    for (const verb of this.#workload.verbs) {
      const last = verb === 'DEL' ? previous : undefined
      const { costs, output } = this.#call(verb, this.#crowd(), this.#workload.routes, last)
      if (verb === 'ADD' && output !== '' && (this.#workload.crowd ?? 1) === 1) previous = JSON.parse(output)
      round[verb] = costs
    }
    return round
  }

  close(): void {
    for (const name of this.#namespaces) ip('netns', 'del', name)
    rmSync(this.#store, { recursive: true })
  }

  #addNamespace(role: string): string {
    const name = `${this.subject.name}-${this.#workload.name}-${role}`
    ip('netns', 'add', name)
    this.#namespaces.push(name)
    ip('-n', name, 'link', 'set', 'lo', 'up')
    return `/run/netns/${name}`
  }

  #crowd(): Record<string, string>[] {
    const pods = this.#namespaces.filter((name) => name.includes('-pod'))
    return pods.map((pod, i) => this.#container(`r${this.#round}c${i}`, `/run/netns/${pod}`, 'eth0'))
  }

  #container(id: string, netns: string, interfaceName: string): Record<string, string> {
    const program = this.subject.program(this.#workload.plugin)
    const floor = this.subject.name !== 'floor' ? {} : {
      FLOOR_BRIDGE: 'bench0',
      FLOOR_ADDRESS: addressIn(this.#subnet(), 2 + this.#round),
      FLOOR_GATEWAY: addressIn(this.#subnet(), 1),
      FLOOR_FOLDER: join(this.#store, 'bench'),
    }
    return { CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: interfaceName, CNI_PATH: dirname(program), ...floor }
  }

  #subnet(): string {
    return this.#workload.subnet ?? '10.88.0.0/16'
  }

  /** @throws Error that shows what the plugin said, when a process of the crowd fails */
  #call(verb: Verb, containers: Record<string, string>[], routes: unknown, previous?: unknown): Finish {
    const program = this.subject.program(this.#workload.plugin)
    const configuration = {
      cniVersion: '1.0.0',
      name: 'bench',
      type: this.#workload.plugin,
      ...this.#workload.keys,
      ipam: { type: 'host-local', dataDir: this.#store, ranges: [[{ subnet: this.#subnet() }]], routes },
      prevResult: previous,
    }
    const environments = containers.map((container) => ({ CNI_COMMAND: verb, ...container }))
    const input = JSON.stringify(configuration)
    const finish = this.#stopwatch.run({ netns: this.#host, program, input, environments })
    const failed = finish.costs.find((cost) => cost.status !== 0)
    if (failed) {
      const who = `${this.subject.name}: ${this.#workload.name}: ${basename(program)} ${verb}`
      throw new Error(`${who}: exit status ${failed.status}: ${finish.output}`)
    }
    return finish
  }

  /** Files as host-local leaves them for other containers' addresses; the gateway is not among them. */
  #take(count: number): void {
    const folder = join(this.#store, 'bench')
    for (let i = 0; i < count; i += 1) {
      writeFileSync(join(folder, addressIn(this.#subnet(), 2 + i)), `other${i}\r\neth0`, { mode: 0o600 })
    }
    if (count > 0) writeFileSync(join(folder, 'last_reserved_ip.0'), addressIn(this.#subnet(), 1 + count))
  }

  #attach(count: number): void {
    const waiting: Record<string, string>[] = []
    let netns = ''
    for (let i = 0; i < count; i += 1) {
      if (i % interfacesPerNamespace === 0) netns = this.#addNamespace(`filler${i}`)
      waiting.push(this.#container(`filler${i}`, netns, `eth${i % interfacesPerNamespace}`))
    }
    while (waiting.length > 0) this.#call('ADD', waiting.splice(0, attachedAtOnce), undefined)
  }

  /** A link to stack others on, with the end of a cable that nobody is at. */
  #layUplink(name: unknown): void {
    if (typeof name !== 'string') return
    const host = basename(this.#host)
    ip('-n', host, 'link', 'add', name, 'up', 'type', 'veth', 'peer', 'name', `${name}-far`)
    ip('-n', host, 'link', 'set', `${name}-far`, 'up')
  }

  #buildBridge(): void {
    const host = basename(this.#host)
    ip('-n', host, 'link', 'add', 'bench0', 'up', 'type', 'bridge')
    ip('-n', host, 'address', 'add', `${addressIn(this.#subnet(), 1)}/16`, 'dev', 'bench0')
  }
}

/** Whether the kernel can make links of this kind. */
export function canMake(kind: string): boolean {
  const words = ['link', 'add', 'link', 'lo', 'name', 'probe0', 'type', kind]
  const { stderr } = spawnSync('ip', words, { encoding: 'utf8' })
  spawnSync('ip', ['link', 'del', 'probe0'])
  return !/not supported|unknown device type/i.test(stderr)
}

/** Whether the subject has a program for this plugin. */
export function has(subject: Subject, plugin: string): boolean {
  return existsSync(subject.program(plugin))
}
