// A client's view of a published port: how long a new connection takes (connect.c).
import { spawnSync } from 'node:child_process'
import { hostAddress } from './ground.ts'
import { summarize } from './statistics.ts'
import type { Cost } from './stopwatch.ts'

const connections = 200

export class Client {
  readonly #program: string

  /** `program` is the compiled connect.c. */
  constructor(program: string) {
    this.#program = program
  }

  /**
   * The median of many connections from the namespace `client` to a port of the host, which leads to `port` of the
   * namespace `server`. @throws Error when one of them fails
   */
  connect(client: string, hostPort: number, server: string, port: number): Cost {
    const words = [server, String(port), client, hostAddress, String(hostPort), String(connections)]
    const { stdout, stderr, status, error } = spawnSync(this.#program, words, { encoding: 'utf8', timeout: 60_000 })
    if (error || status !== 0) throw error ?? new Error(`connect ${words.join(' ')}: ${stderr}`)
    const times = summarize(stdout.trim().split('\n').map((nanoseconds) => Number(nanoseconds) / 1e6))
    return { start: 0, end: times?.median ?? NaN, cpu: undefined, memory: undefined, status: 0 }
  }
}
