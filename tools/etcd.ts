// For tests: a real etcd on the loopback of the namespace that the test is in, where nobody else can see it. It dies
// with the test, also with a killed one.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'

interface Test { teardown(step: () => unknown): unknown }

interface Options {
  readonly members?: number
  /** Further arguments of etcd(1) for every member. */
  readonly args?: readonly string[]
  /** `https` when `args` names certificates. */
  readonly scheme?: 'http' | 'https'
  /** The address that clients connect to. */
  readonly host?: string
  /** A TCP port; six more above it per member are taken. */
  readonly port?: number
}

/** A member of a cluster. `url` is for clients. */
export class EtcdMember {
  readonly url: string
  readonly directory: string
  readonly #args: readonly string[]
  #process: ChildProcess | undefined
  #words = ''

  constructor(url: string, directory: string, args: readonly string[]) {
    this.url = url
    this.directory = directory
    this.#args = args
  }

  start(): void {
    const command = ['--pdeathsig', 'KILL', '--', 'etcd', ...this.#args]
    this.#process = spawn('setpriv', command, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process.stderr?.setEncoding('utf8').on('data', text => { this.#words = (this.#words + text).slice(-2000) })
  }

  /** Until it accepts connections; in a cluster that is when there is a leader. @throws Error with its last words */
  async ready(): Promise<void> {
    const port = Number(new URL(this.url).port)
    for (let i = 0; i < 500; i++) {
      if (this.#process?.exitCode !== null) throw new Error(`etcd is gone: ${this.#words}`)
      const socket = connect(port, new URL(this.url).hostname)
      const stands = await once(socket, 'connect').then(() => true, () => false)
      socket.destroy()
      if (stands) return
      await setTimeout(20)
    }
    throw new Error(`etcd does not listen on ${this.url}: ${this.#words}`)
  }

  /** Ends it. @param signal SIGTERM to let it go in peace, SIGKILL for a crash, SIGSTOP to make it silent */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    running.kill(signal)
    await once(running, 'exit')
  }

  /** Makes it silent, as behind a broken wire, or lets it go on. */
  freeze(frozen: boolean): void { this.#process?.kill(frozen ? 'SIGSTOP' : 'SIGCONT') }

  get pid(): number | undefined { return this.#process?.pid }
}

export class EtcdCluster {
  readonly members: readonly EtcdMember[]
  readonly #place: string

  constructor(members: readonly EtcdMember[], place: string) {
    this.members = members
    this.#place = place
  }

  get endpoints(): readonly string[] { return this.members.map(({ url }) => url) }

  async start(): Promise<void> {
    for (const member of this.members) member.start()
    for (const member of this.members) await member.ready()
  }

  async stop(): Promise<void> { await Promise.all(this.members.map(member => member.stop())) }

  /** Stops it, removes its data, and starts it again. */
  async wipe(): Promise<void> {
    await this.stop()
    for (const { directory } of this.members) rmSync(directory, { recursive: true, force: true })
    await this.start()
  }

  /** Stops it, keeps a copy of its data, and starts it again. */
  async backup(): Promise<void> {
    await this.stop()
    rmSync(`${this.#place}/backup`, { recursive: true, force: true })
    for (const [i, { directory }] of this.members.entries())
      cpSync(directory, `${this.#place}/backup/${i}`, { recursive: true })
    await this.start()
  }

  /** Stops it, puts the copy back, and starts it again. */
  async restore(): Promise<void> {
    await this.stop()
    for (const [i, { directory }] of this.members.entries()) {
      rmSync(directory, { recursive: true, force: true })
      cpSync(`${this.#place}/backup/${i}`, directory, { recursive: true })
    }
    await this.start()
  }
}

/** Starts a cluster that is stopped and removed when the test ends. */
export const startEtcd = async (t: Test, options: Options = {}): Promise<EtcdCluster> => {
  const { members = 1, args = [], scheme = 'http', host = '127.0.0.1', port = 2379 } = options
  const place = mkdtempSync('/dev/shm/fairlead-etcd-')
  const numbers = Array.from({ length: members }, (_, i) => i)
  const peer = (i: number): string => `http://127.0.0.1:${port + 10 * i + 1}`
  const initial = numbers.map(i => `m${i}=${peer(i)}`).join()
  const cluster = new EtcdCluster(numbers.map(i => {
    const url = `${scheme}://${host}:${port + 10 * i}`
    const directory = `${place}/m${i}`
    return new EtcdMember(url, directory, [
      '--name', `m${i}`, '--data-dir', directory, '--log-level', 'error',
      '--listen-client-urls', url, '--advertise-client-urls', url,
      '--listen-peer-urls', peer(i), '--initial-advertise-peer-urls', peer(i), '--initial-cluster', initial,
      // Alone it elects itself after that time, among others a busy machine must not look like a dead one.
      ...members === 1 ? ['--heartbeat-interval', '10', '--election-timeout', '100']
        : ['--heartbeat-interval', '50', '--election-timeout', '500'],
      ...args,
    ])
  }), place)
  t.teardown(async () => {
    await cluster.stop()
    rmSync(place, { recursive: true, force: true })
  })
  await cluster.start()
  return cluster
}
