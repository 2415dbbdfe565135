// Running a plugin once, as a runtime does: environment, standard input, and what comes back.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import type { Netns } from './netns.ts'

/** Longer than any plugin may take (duplicate address detection, a retried lock); past it the plugin is killed. */
const limit = 20_000

export interface Invocation {
  readonly verb: string
  readonly host: Netns
  readonly executable: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string | Uint8Array
  readonly cwd: string
  /** A command that is given the executable as its last argument. */
  readonly through: readonly string[]
}

export interface Reply {
  readonly verb: string
  readonly executable: string
  /** The exit status, or null when a signal ended the plugin. */
  readonly status: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  /** Wall time of the process in milliseconds. */
  readonly milliseconds: number
}

export interface Running {
  readonly child: ChildProcess
  readonly reply: Promise<Reply>
}

const words = ({ host, executable, through }: Invocation): string[] =>
  [`--net=${host.path}`, '--', ...through, executable]

/** Runs the plugin to its end; nsenter replaces itself by it, so status and signal are the plugin's own. */
export const run = (invocation: Invocation): Reply => {
  const { verb, executable, env, stdin, cwd } = invocation
  const start = performance.now()
  const { status, signal, stdout, stderr } = spawnSync('/usr/bin/nsenter', words(invocation), {
    env, cwd, input: stdin, encoding: 'utf8', timeout: limit, killSignal: 'SIGKILL', maxBuffer: 1 << 26,
  })
  return { verb, executable, status, signal, stdout, stderr, milliseconds: performance.now() - start }
}

/** Starts the plugin; the caller writes to `child.stdin` itself when the invocation's is empty and `open` is set. */
export const start = (invocation: Invocation, open = false): Running => {
  const { verb, executable, env, stdin, cwd } = invocation
  const began = performance.now()
  const child = spawn('/usr/bin/nsenter', words(invocation), { env, cwd, timeout: limit, killSignal: 'SIGKILL' })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output.stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { output.stderr += text })
  // A plugin that exits without reading breaks the pipe; that is its right.
  child.stdin.on('error', () => {})
  if (!open) child.stdin.end(stdin)
  const reply = new Promise<Reply>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) =>
      resolve({ verb, executable, status, signal, ...output, milliseconds: performance.now() - began }))
  })
  return { child, reply }
}

/** A reply as a failure report shows it. */
export const transcript = ({ verb, executable, status, signal, stdout, stderr }: Reply): string => {
  const short = (text: string): string => (text.length > 600 ? `${text.slice(0, 600)} …` : text).trim()
  return [
    `${verb} ${executable}: ${signal ? `killed by ${signal}` : `exit ${status}`}`,
    ...(stdout.trim() ? [`stdout: ${short(stdout)}`] : []),
    ...(stderr.trim() ? [`stderr: ${short(stderr)}`] : []),
  ].join('\n')
}
