// One subject doing one workload, round by round: its ground, an address store, and what is there before.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from './client.ts'
import { addressIn, Ground } from './ground.ts'
import type { Cost, Finish, Stopwatch } from './stopwatch.ts'
import { Caller } from './subject.ts'
import type { Subject } from './subject.ts'
import { publishedPort, portmapOf } from './workloads.ts'
import type { CniVerb, Plugin, Verb, Workload } from './workloads.ts'

/** A round: what each process of a verb cost, in the order of starting. */
export type Round = Partial<Record<Verb, Cost[]>>

/** Interfaces that the containers which are only there to be many put into one namespace. */
const interfacesPerNamespace = 50

/** So many of them are attached at once, to save time. */
const attachedAtOnce = 10

/** Where the ports begin that the others publish. */
const firstPort = 20_000

export class Arena {
  readonly subject: Subject
  readonly #workload: Workload
  readonly #caller: Caller
  readonly #connector: Client | undefined
  readonly #ground: Ground
  readonly #store: string
  readonly #pods: string[]
  readonly #client: string
  #round = 0

  /** `connector` measures connections; without it that verb is left out. */
  constructor(subject: Subject, workload: Workload, stopwatch: Stopwatch, connector: Client | undefined) {
    this.subject = subject
    this.#workload = workload
    this.#connector = connector
    this.#store = join(stopwatch.folder, `${subject.name}-${workload.name}`)
    this.#ground = new Ground(`${subject.name}-${workload.name}`)
    this.#caller = new Caller(subject, stopwatch, this.#ground.host)
    const uplink = workload.keys?.['master']
    if (typeof uplink === 'string') this.#ground.layUplink(uplink)
    this.#pods = Array.from({ length: workload.crowd ?? 1 }, (_, i) => this.#ground.add(`pod${i}`))
    this.#client = workload.verbs.includes('CONNECT') ? this.#ground.addClient() : ''
    mkdirSync(join(this.#store, 'bench'), { recursive: true })
    this.#take(workload.taken ?? 0)
    this.#attach(workload.attached ?? 0)
    this.#publish(workload.published ?? 0)
    if (subject.name === 'floor') this.#ground.layBridge('bench0', `${addressIn(this.#subnet, 1)}/16`)
  }

  /** Each verb of the workload once, for every container of the crowd. @throws Error when a call fails */
  round(): Round {
    this.#round += 1
    const round: Round = {}
    let previous: unknown
    for (const verb of this.#workload.verbs) {
      if (verb === 'CONNECT') {
        const costs = this.#connect()
        if (costs) round[verb] = costs
        continue
      }
      const { costs, output } = this.#call(verb, verb === 'DEL' ? previous : undefined)
      if (verb === 'ADD' && output !== '' && this.#pods.length === 1) previous = JSON.parse(output)
      round[verb] = costs
    }
    return round
  }

  close(): void {
    this.#ground.close()
    rmSync(this.#store, { recursive: true })
  }

  get #subnet(): string {
    return this.#workload.subnet ?? '10.88.0.0/16'
  }

  #call(verb: CniVerb, previous: unknown): Finish {
    const { chained, routes } = this.#workload
    const crowd = this.#pods.map((pod, i) => this.#container(`r${this.#round}c${i}`, pod, 'eth0'))
    const [only] = crowd
    return chained && only ? this.#caller.chain(verb, [this.#first(routes), ...chained], only, previous)
      : this.#caller.call(verb, this.#first(routes), crowd, previous)
  }

  #connect(): Cost[] | undefined {
    const [server = ''] = this.#pods
    const { hostPort, containerPort } = publishedPort
    return this.#connector && [this.#connector.connect(this.#client, hostPort, server, containerPort)]
  }

  #first(routes: unknown): Plugin {
    const ipam = { type: 'host-local', dataDir: this.#store, ranges: [[{ subnet: this.#subnet }]], routes }
    return { plugin: this.#workload.plugin, keys: { ...this.#workload.keys, ipam } }
  }

  #container(id: string, netns: string, interfaceName: string): Record<string, string> {
    const floor = this.subject.name !== 'floor' ? {} : {
      FLOOR_BRIDGE: 'bench0',
      FLOOR_ADDRESS: addressIn(this.#subnet, 2 + this.#round),
      FLOOR_GATEWAY: addressIn(this.#subnet, 1),
      FLOOR_FOLDER: join(this.#store, 'bench'),
    }
    return { CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: interfaceName, ...floor }
  }

  /** Files as host-local leaves them for other containers' addresses; the gateway is not among them. */
  #take(count: number): void {
    const folder = join(this.#store, 'bench')
    for (let i = 0; i < count; i += 1) {
      writeFileSync(join(folder, addressIn(this.#subnet, 2 + i)), `other${i}\r\neth0`, { mode: 0o600 })
    }
    if (count > 0) writeFileSync(join(folder, 'last_reserved_ip.0'), addressIn(this.#subnet, 1 + count))
  }

  #attach(count: number): void {
    const waiting: Record<string, string>[] = []
    let netns = ''
    for (let i = 0; i < count; i += 1) {
      if (i % interfacesPerNamespace === 0) netns = this.#ground.add(`filler${i}`)
      waiting.push(this.#container(`filler${i}`, netns, `eth${i % interfacesPerNamespace}`))
    }
    while (waiting.length > 0) this.#caller.call('ADD', this.#first(undefined), waiting.splice(0, attachedAtOnce))
  }

  /** Other containers' ports, one each, far behind the addresses that are given out; only portmap hears of them. */
  #publish(count: number): void {
    if (count === 0) return
    const netns = this.#ground.add('others')
    // The first container makes the bridge.
    const opening = this.#container('opening', netns, 'eth0')
    const { output } = this.#caller.call('ADD', this.#first(undefined), [opening])
    this.#caller.call('DEL', this.#first(undefined), [opening], JSON.parse(output))
    for (let i = 0; i < count; i += 1) {
      const address = `${addressIn(this.#subnet, 0x8000 + i)}/16`
      const previous = {
        cniVersion: '1.0.0',
        interfaces: [{ name: 'bench0' }, { name: 'eth0', sandbox: netns }],
        ips: [{ address, gateway: addressIn(this.#subnet, 1), interface: 1 }],
      }
      const port = { ...publishedPort, hostPort: firstPort + i }
      this.#caller.call('ADD', portmapOf([port]), [this.#container(`other${i}`, netns, 'eth0')], previous)
    }
  }
}
