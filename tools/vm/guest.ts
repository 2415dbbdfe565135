// A user-mode Linux guest that shares the host's files and throws away what it writes. boot.sh and init.sh do the work.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Kernel } from './kernel.ts'

export interface Errand {
  /** A shell command, run in this directory. */
  readonly command: string
  /** Seconds until the guest is ended. */
  readonly limit: number
  /** Which processor the guest sits on: guests side by side give 0, 1, 2, … */
  readonly place?: number
  /** Is given each line that the command writes to stdout or stderr. */
  hear(line: string): void
}

/** What became of a guest. */
export interface Outcome {
  /** Whether the kernel came as far as its first process, init.sh. What goes wrong from then on is our fault. */
  readonly booted: boolean
  /** Release of the kernel, once init.sh has made the guest ready. */
  readonly release: string | undefined
  /** Exit status of the command, if it came to its end. */
  readonly exit: number | undefined
  /** What happened if not. */
  readonly complaint: string
}

/** After the command's end: for what a process left behind might hold back. */
const PATIENCE_MS = 2000

/** The processor for a guest: some other one for each place, beginning with any. proc_pid_status(5). */
const processor = (place: number): number => {
  const [, allowed = '0'] = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  const numbers = allowed.split(',').flatMap(range => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
  return numbers[(process.pid + place) % numbers.length]!
}

/** Runs a command in a guest. When this process dies, by whatever signal, so does the guest. */
export const runInGuest = async (kernel: Kernel, { command, limit, place = 0, hear }: Errand): Promise<Outcome> => {
  const boot = join(import.meta.dirname, 'boot.sh')
  const guest = spawn('setpriv', [
    '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', boot,
    kernel.executable, kernel.shim ?? '', String(processor(place)), resolve('.'), command,
  ], { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] })
  const end = (): void => { guest.kill('SIGKILL') }
  const [, , , output, state] = guest.stdio as unknown as readonly Readable[]

  let complaint = ''
  const timer = setTimeout(() => {
    complaint = `not done after ${limit} s`
    end()
  }, limit * 1000)
  createInterface({ input: output! }).on('line', hear)
  let said = ''
  state!.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk
    if (/^exit \d+$/m.test(said)) setTimeout(end, PATIENCE_MS).unref()
  })
  const log = Promise.all([text(guest.stdout!), text(guest.stderr!)])
  await new Promise<void>((done, fail) => guest.on('close', () => done()).on('error', fail))
  clearTimeout(timer)

  const exit = /^exit (\d+)$/m.exec(said)?.[1]
  const lines = (await log).join('\n').split('\n').map(line => line.trim()).filter(Boolean)
  const release = /^started (.*)$/m.exec(said)?.[1]
  return {
    // A first process that exits and is not killed by a signal got as far as to run.
    booted: release !== undefined || lines.some(line => /kill init! exitcode=0x0000..00\b/.test(line)),
    release,
    exit: exit === undefined ? undefined : Number(exit),
    complaint: complaint || reason(lines),
  }
}

/** The line of a console that says why the guest ended. */
const reason = (lines: readonly string[]): string => {
  const panic = lines.findIndex(line => /Kernel panic/.test(line))
  const said = panic < 0 ? lines : lines.slice(0, panic)
  return said.findLast(line => !/^\[ *[\d.]+\]/.test(line)) ?? lines[panic] ?? lines.at(-1) ?? 'the kernel said nothing'
}
