// Starts plugins and measures them as whole processes: with spawn.c where a C compiler is, else with Node's clock.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

/** Processes to start at once: same program, standard input and network namespace, each with its own environment. */
export interface Start {
  netns: string
  program: string
  input: string
  environments: Record<string, string>[]
}

/** What one process cost. Without the C stopwatch only `wall` and `status` are known. */
export interface Cost {
  /** Milliseconds on the monotonic clock. */
  start: number
  end: number
  /** User and system time, milliseconds. */
  cpu: number | undefined
  /** Peak resident memory, MB. */
  memory: number | undefined
  status: number
}

export interface Finish {
  costs: Cost[]
  output: string
}

/** Starts and measures; in `folder` all temporary files have their place. */
export class Stopwatch {
  readonly folder: string
  readonly #driver: string | undefined
  readonly #input: string

  /** `driver` is the compiled spawn.c, or undefined for Node's clock around spawnSync(), which adds milliseconds. */
  constructor(driver: string | undefined, folder: string) {
    this.folder = folder
    this.#driver = driver
    this.#input = join(folder, 'stdin')
  }

  /** Whether processes can be started at once. */
  get precise(): boolean {
    return this.#driver !== undefined
  }

  /** @throws Error when the stopwatch itself fails; a failed plugin is told by its `status` */
  run(start: Start): Finish {
    writeFileSync(this.#input, start.input)
    return this.#driver === undefined ? this.#runWithNode(start) : this.#runWithDriver(this.#driver, start)
  }

  #runWithDriver(driver: string, { netns, program, environments }: Start): Finish {
    const groups = environments.flatMap((environment) => ['--', ...assignments(environment)]).slice(1)
    const { output, status, error } = spawnSync(driver, [netns, this.#input, program, ...groups], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
      encoding: 'utf8',
    })
    if (error || status !== 0) throw error ?? new Error(`${driver} ${netns} ${program}: exit status ${status}`)
    const lines = (output[3] ?? '').trim().split('\n')
    return { output: output[1] ?? '', costs: lines.map(parseCost) }
  }

  #runWithNode({ netns, program, input, environments }: Start): Finish {
    const finish: Finish = { costs: [], output: '' }
    for (const environment of environments) {
      const start = Number(process.hrtime.bigint()) / 1e6
      const { stdout, status, error } = spawnSync('nsenter', [`--net=${netns}`, program], {
        input,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], ...environment },
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      if (error) throw error
      const end = Number(process.hrtime.bigint()) / 1e6
      finish.costs.push({ start, end, cpu: undefined, memory: undefined, status: status ?? -1 })
      finish.output += stdout
    }
    return finish
  }
}

function assignments(environment: Record<string, string>): string[] {
  return Object.entries(environment).map(([name, value]) => `${name}=${value}`)
}

/** The line of spawn.c for one process. */
function parseCost(line: string): Cost {
  const [start = NaN, end = NaN, cpu = NaN, memory = NaN, status = NaN] = line.split(' ').map(Number)
  return { start: start / 1e6, end: end / 1e6, cpu: cpu / 1e3, memory: memory / 1024, status }
}
