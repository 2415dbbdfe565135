// The kernel tests and the conformance cases that need drivers which this machine's kernel may lack, in two guests.
import { mkdirSync, writeFileSync } from 'node:fs'
import { counted, sum, type Count } from '#tools/test-output.ts'
import { runInGuest, type Outcome } from './guest.ts'
import { findKernel, type Kernel } from './kernel.ts'

/**
 * `ours` and `reference` are directories of plugins, `all` asks for every test and case, `logs` is where everything
 * goes that is said. `tell` is given the line of each part when it is done.
 */
export interface LaneOptions {
  readonly ours: string
  readonly reference: string
  readonly all: boolean
  readonly logs: string
  tell?(line: string): void
}

/** What came of it, or the reason why it could not start here. */
export type Lane = { readonly count: Count; readonly outputs: readonly string[]; readonly release: string }
  | { readonly reason: string }

/** What suite.ts can do, the longest first. */
const parts = ['encryption', 'links', 'tests', 'faults', 'control-links', 'bridge', 'control-bridge']

/** Each on a processor of its own, and not more than small machines have. */
const GUESTS_AT_A_TIME = 2

const LIMIT_SECONDS = { some: 600, all: 3600 } as const

/** The counts of the lines that suite.ts writes, and one failure more when the guest did not finish. */
const count = (output: string, { exit, complaint }: Outcome): Count => {
  const lines = output.match(/^lane: .*$/gm) ?? []
  const finished = exit === 0 && lines.length > 0
  if (!finished) console.log(`the guest did not finish: ${exit === undefined ? complaint : `exit ${exit}`}`)
  return sum([...lines.map(line => counted(line, true)), ...(finished ? [] : [counted(undefined, false)])])
}

const kernelOrReason = (): Kernel | string => {
  try {
    return findKernel()
  } catch (error) {
    return (error as Error).message
  }
}

interface Done { readonly output: string; readonly outcome: Outcome }

/** Boots the guests and runs suite.ts in them. Never throws for want of something: that is a reason. */
export const runLane = async ({ ours, reference, all, logs, tell }: LaneOptions): Promise<Lane> => {
  const kernel = kernelOrReason()
  if (typeof kernel === 'string') return { reason: kernel }
  mkdirSync(logs, { recursive: true })
  const extent = all ? 'all' : 'some'
  const suite = `exec ${process.execPath} --disable-warning=ExperimentalWarning tools/vm/suite.ts`
  const done: Done[] = []
  const queue = [...parts]
  const employ = async (place: number): Promise<void> => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      const lines: string[] = []
      const hear = (line: string): void => {
        lines.push(line)
        if (line.startsWith('lane: ')) tell?.(line)
      }
      const command = `${suite} ${part} ${extent} '${ours}' '${reference}'`
      const outcome = await runInGuest(kernel, { command, limit: LIMIT_SECONDS[extent], place, hear })
      const output = lines.join('\n')
      writeFileSync(`${logs}/guest-${part}.tap`, output)
      done.push({ output, outcome })
    }
  }
  await Promise.all(Array.from({ length: GUESTS_AT_A_TIME }, (_, place) => employ(place)))
  const outcomes = done.map(({ outcome }) => outcome)
  if (!outcomes.some(({ booted }) => booted)) return { reason: `no guest starts: ${outcomes[0]!.complaint}` }
  return {
    release: outcomes.find(({ release }) => release)?.release ?? 'unknown',
    count: sum(done.map(({ output, outcome }) => count(output, outcome))),
    outputs: done.map(({ output }) => output),
  }
}
