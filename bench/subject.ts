// Who is measured, and how its plugins are called: one by one, or as a chain for one container.
import { existsSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Cost, Finish, Stopwatch } from './stopwatch.ts'
import type { CniVerb, Plugin } from './workloads.ts'

/** Who is measured: the program that it runs for a plugin. */
export interface Subject {
  name: 'ours' | 'peer' | 'floor'
  program: (plugin: string) => string
}

/** Whether the subject has a program for this plugin. */
export function has(subject: Subject, plugin: string): boolean {
  return existsSync(subject.program(plugin))
}

/** What the calls for one container cost together, without what a runtime does between them. */
function together(parts: Cost[]): Cost {
  const [first] = parts
  if (!first) throw new Error('nothing was called')
  return parts.slice(1).reduce((sum, { start, end, cpu, memory, status }) => ({
    start: sum.start,
    end: sum.end + end - start,
    cpu: sum.cpu === undefined || cpu === undefined ? undefined : sum.cpu + cpu,
    memory: sum.memory === undefined || memory === undefined ? undefined : Math.max(sum.memory, memory),
    status: sum.status || status,
  }), first)
}

/** Calls a subject's plugins inside a host's network namespace. */
export class Caller {
  readonly #subject: Subject
  readonly #stopwatch: Stopwatch
  readonly #host: string

  constructor(subject: Subject, stopwatch: Stopwatch, host: string) {
    this.#subject = subject
    this.#stopwatch = stopwatch
    this.#host = host
  }

  /**
   * One plugin, one process for each container's variables, all at once.
   * @throws Error that shows what the plugin said, when a process fails
   */
  call(verb: CniVerb, { plugin, keys }: Plugin, containers: Record<string, string>[], previous?: unknown): Finish {
    const program = this.#subject.program(plugin)
    const input = JSON.stringify({ cniVersion: '1.0.0', name: 'bench', type: plugin, ...keys, prevResult: previous })
    const environments = containers.map((container) =>
      ({ CNI_COMMAND: verb, CNI_PATH: dirname(program), ...container }))
    const finish = this.#stopwatch.run({ netns: this.#host, program, input, environments })
    const failed = finish.costs.find((cost) => cost.status !== 0)
    if (failed) {
      const who = `${this.#subject.name}: ${basename(program)} ${verb}`
      throw new Error(`${who}: exit status ${failed.status}: ${finish.output}`)
    }
    return finish
  }

  /**
   * A chain for one container as libcni calls it: ADD hands each result on, DEL goes backwards with the last one.
   * @throws Error as {@link call}
   */
  chain(verb: CniVerb, plugins: readonly Plugin[], container: Record<string, string>, previous?: unknown): Finish {
    let [result, output] = [previous, '']
    const costs = (verb === 'DEL' ? plugins.toReversed() : plugins).flatMap((plugin) => {
      const finish = this.call(verb, plugin, [container], result)
      output = finish.output
      if (verb === 'ADD' && output !== '') result = JSON.parse(output)
      return finish.costs
    })
    return { output, costs: [together(costs)] }
  }
}
