// For tests of overlays as a whole: several hosts on one machine, each a network namespace with directories of its own
// and the real agent, on an underlay with a real etcd. Needs private namespaces (privacy.ts) and build/bin.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectTo } from 'node:net'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Namespace } from '#net/namespace.ts'
import type { Answer, Request } from '#cni/cluster/agent-socket.ts'
import { readRunFile, type OverlayRun } from '#cni/cluster/run-file.ts'
import { waysTo } from '#netlink/route/lookup.ts'
import { listens, memoryOf } from './agent-process.ts'
import { anotherNamespace, connect } from './kernel.ts'

interface Test { teardown(step: () => unknown): unknown; passing?(): boolean }

const bin = resolve(process.env['FAIRLEAD_BIN'] ?? 'build/bin')

/** What a plugin said. `result` of an ADD, or the error. */
export interface Reply { readonly status: number | null; readonly result: Readonly<Record<string, unknown>> }

/** A container: its namespace, and the addresses that it was given. */
export interface Pod { readonly ns: Namespace; readonly id: string; readonly addresses: readonly string[] }

interface Surroundings {
  readonly test: Test
  readonly store: string
  readonly place: string
  /** Further options of the agent. */
  readonly options: readonly string[]
}

const replyOf = (status: number | null, stdout: string): Reply =>
  ({ status, result: stdout === '' ? {} : JSON.parse(stdout) as Record<string, unknown> })

export class FleetHost {
  readonly ns: Namespace
  readonly name: string
  readonly runDirectory: string
  readonly #around: Surroundings
  readonly #pods = new Map<string, Pod>()
  #agent: ChildProcess | undefined
  #count = 0
  log = ''

  constructor(ns: Namespace, name: string, around: Surroundings) {
    this.ns = ns
    this.name = name
    this.#around = around
    this.runDirectory = `${around.place}/${name}/run`
  }

  get agent(): ChildProcess | undefined { return this.#agent }
  get pods(): readonly Pod[] { return [...this.#pods.values()] }

  /** The options that tell the agent which host this is. */
  get options(): readonly string[] {
    const { place, store, options } = this.#around
    return [
      '--store', store, '--host-id', this.name, '--interface', 'eth0', '--state-dir', `${place}/${this.name}/state`,
      '--run-dir', this.runDirectory, '--leases-dir', `${place}/${this.name}/leases`, '--metrics', 'off', ...options,
    ]
  }

  get stateDirectory(): string { return `${this.#around.place}/${this.name}/state` }

  /** Starts the agent, until it listens. @param privileges options of setpriv(1) */
  async start(...privileges: readonly string[]): Promise<void> {
    const path = `${this.runDirectory}/agent.sock`
    rmSync(path, { force: true })
    const command = ['--pdeathsig', 'KILL', ...privileges, '--', `${bin}/fairlead`, 'agent', ...this.options]
    const agent = this.ns.run(() => spawn('setpriv', command, { stdio: ['ignore', 'ignore', 'pipe'] }))
    this.#agent = agent
    agent.stderr.setEncoding('utf8').on('data', text => { this.log += String(text) })
    for (let i = 0; i < 1000 && !await listens(path); i++) {
      if (agent.exitCode !== null) throw new Error(`agent of ${this.name}: ${this.log}`)
      await setTimeout(10)
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const agent = this.#agent
    this.#agent = undefined
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return
    agent.kill(signal)
    await once(agent, 'exit')
  }

  /** Asks the agent. */
  async ask(request: Request): Promise<Answer> {
    const socket = connectTo(`${this.runDirectory}/agent.sock`)
    socket.setEncoding('utf8').write(`${JSON.stringify(request)}\n`)
    let text = ''
    for await (const chunk of socket) if ((text += String(chunk)).endsWith('\n')) break
    socket.destroy()
    return JSON.parse(text) as Answer
  }

  /** Asks until it agrees, as a runtime that tries again. @throws Error with the last refusal */
  async insist(request: Request, patience = 15_000, pause = 50): Promise<void> {
    const start = performance.now()
    for (;;) {
      const answer = await this.ask(request)
      if (answer.ok) return
      if (performance.now() - start > patience) throw new Error(`${this.name}: ${answer.message}`)
      await setTimeout(pause)
    }
  }

  /** What the agent says of an overlay. */
  run(network: string): OverlayRun | undefined {
    return readRunFile(this.runDirectory, network) as OverlayRun | undefined
  }

  /** Whether packets to an address leave this host through the tunnel of a network. */
  routesInto(network: string, address: string): boolean {
    const device = this.ns.link.find(this.run(network)?.device ?? '')
    return device !== undefined && waysTo(this.ns.rtnetlink, [address])[0]?.dev === device.index
  }

  /** The keys that tell a plugin where its agent is. */
  get place(): { readonly runDir: string; readonly dataDir: string } {
    return { runDir: this.runDirectory, dataDir: `${this.#around.place}/${this.name}/leases` }
  }

  config(network: string, extra: object = {}): { readonly type: string } {
    return Object.assign({ cniVersion: '1.1.0', name: network, type: 'overlay' }, this.place, extra)
  }

  /** What a runtime would start. */
  #command(verb: string, network: string, id: string, ns: Namespace | undefined, extra: object) {
    const env = {
      ...process.env, CNI_COMMAND: verb, CNI_CONTAINERID: id, CNI_NETNS: ns?.path ?? '', CNI_IFNAME: 'eth0',
      CNI_ARGS: '', CNI_PATH: bin,
    }
    const config = this.config(network, extra)
    return { path: `${bin}/${config.type}`, input: JSON.stringify(config), env }
  }

  /** One verb of the plugin. */
  call(verb: string, network: string, id: string, ns: Namespace | undefined, extra: object = {}): Reply {
    const { path, ...options } = this.#command(verb, network, id, ns, extra)
    const { status, stdout } = this.ns.run(() => spawnSync(path, { ...options, encoding: 'utf8' }))
    return replyOf(status, stdout)
  }

  /** The same while others are at work. */
  async callMeanwhile(
    verb: string, network: string, id: string, ns: Namespace | undefined, extra: object = {},
  ): Promise<Reply> {
    const { path, input, env } = this.#command(verb, network, id, ns, extra)
    const plugin = this.ns.run(() => spawn(path, { env, stdio: ['pipe', 'pipe', 'ignore'] }))
    plugin.stdin.end(input)
    let text = ''
    plugin.stdout.setEncoding('utf8').on('data', more => { text += String(more) })
    const [status] = await once(plugin, 'close') as [number | null]
    return replyOf(status, text)
  }

  /** Attaches a new container. @throws Error with the plugin's words */
  attach(network: string, extra: object = {}): Pod {
    const [id, ns] = [this.#nextId(), anotherNamespace(this.#around.test)]
    return this.#attached(id, ns, this.call('ADD', network, id, ns, extra))
  }

  /** The same while others do, too. */
  async attachMeanwhile(network: string, extra: object = {}): Promise<Pod> {
    const [id, ns] = [this.#nextId(), anotherNamespace(this.#around.test)]
    return this.#attached(id, ns, await this.callMeanwhile('ADD', network, id, ns, extra))
  }

  detach(network: string, { id, ns }: Pod, extra: object = {}): Reply {
    this.#pods.delete(id)
    return this.call('DEL', network, id, ns, extra)
  }

  #nextId(): string { return `${this.name}-c${++this.#count}` }

  #attached(id: string, ns: Namespace, { status, result }: Reply): Pod {
    if (status !== 0) throw new Error(`${this.name}: ${String(result['msg'])} (${String(result['code'])})`)
    const addresses = (result['ips'] as readonly { readonly address: string }[])
      .map(({ address }) => address.split('/')[0]!)
    const pod = { ns, id, addresses }
    this.#pods.set(id, pod)
    return pod
  }

  /** Memory of the agent in megabytes. */
  get memory(): number { return memoryOf(this.#agent!.pid!) }
}

/** The hosts, on a bridge in the namespace of the test, which has 192.0.2.254 and 2001:db8::254. */
export class Fleet {
  readonly hosts: readonly FleetHost[]
  readonly #switch: Namespace

  /** @param own the namespace of the test; `options` are further ones of all agents */
  constructor(
    t: Test, own: Namespace, count: number,
    { store = 'http://192.0.2.254:2379', underlay = 'ipv4', options = [] as readonly string[] } = {},
  ) {
    const place = mkdtempSync('/dev/shm/fairlead-fleet-')
    this.#switch = own
    own.link.add({ name: 'sw', info: { kind: 'bridge' } })
    const { index } = own.link.get('sw')
    own.link.set(index, { up: true })
    own.addr.add({ index, address: '192.0.2.254/24' })
    own.addr.add({ index, address: '2001:db8::254/64', noDad: true })
    const around = { test: t, store, place }
    this.hosts = Array.from({ length: count }, (_, i) => {
      const ns = anotherNamespace(t)
      connect(
        { ns: own, name: `p${i + 1}`, addresses: [], master: index },
        { ns, name: 'eth0', addresses: [`192.0.2.${i + 1}/24`, `2001:db8::${(i + 1).toString(16)}/64`] },
      )
      const address = underlay === 'ipv4' ? [] : ['--address', `2001:db8::${(i + 1).toString(16)}`]
      return new FleetHost(ns, `h${i + 1}`, { ...around, options: [...address, ...options] })
    })
    t.teardown(async () => {
      await Promise.all(this.hosts.map(host => host.stop()))
      if (t.passing?.() === false) for (const { name, log } of this.hosts) process.stderr.write(`${name}:\n${log}`)
      rmSync(place, { recursive: true, force: true })
    })
  }

  /** Pulls the cable of host N, counted from 1, or puts it back. */
  cable(number: number, plugged: boolean): void {
    this.#switch.link.set(this.#switch.link.get(`p${number}`).index, { up: plugged })
  }
}

/** `fairlead …` in the namespace of the test. @throws Error with its words */
export const fairlead = (...args: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync(`${bin}/fairlead`, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr.trim())
  return stdout
}

/** Waits until something holds. @returns the milliseconds that it took @throws Error that says what has not happened */
export const eventually = async (
  what: string, holds: () => boolean | Promise<boolean>, patience = 15_000,
): Promise<number> => {
  const start = performance.now()
  while (!await holds()) {
    if (performance.now() - start > patience) throw new Error(`not within ${patience / 1000} s: ${what}`)
    await setTimeout(10)
  }
  return performance.now() - start
}
