// Who answers whom on a machine, over TCP and UDP: ../tools/traffic.ts in network namespaces found from outside.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import type { Question } from '../tools/conversation.ts'
import type { Machine } from './machine.ts'

const traffic = [process.execPath, '--disable-warning=ExperimentalWarning',
  fileURLToPath(new URL('../tools/traffic.ts', import.meta.url))]

/** The network namespace of a process of the machine; 1 is the machine's own. */
export const netnsOf = (machine: Machine, pid: number | string): string => machine.path(`/proc/${pid}/ns/net`)

/** Answers on these TCP and UDP ports of a network namespace until the test ends. Resolves when it does. */
export const answer = async (t: Test, netns: string, ...ports: number[]): Promise<void> => {
  const words = [`--net=${netns}`, ...traffic, 'serve', ...ports.map(String)]
  const server = spawn('nsenter', words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  t.teardown(async () => {
    server.stdin.end()
    await ended
  })
  await Promise.race([once(server.stdout, 'data'), ended])
}

/** A port to ask as `tcp 192.0.2.1 8080`; the question as one word, so that a table of cells reads as one. */
export type Ask = `${'tcp' | 'udp'} ${string} ${number}`

const questionOf = (ask: Ask): Question => {
  const [protocol, address, port] = ask.split(' ') as ['tcp' | 'udp', string, string]
  return { protocol, address, port: Number(port) }
}

/** What is to answer: the container's port, or null for silence. */
export type Cells = Readonly<Record<Ask, number | null>>

/** Asks all from one network namespace at once. */
const ask = async (netns: string, asks: readonly Ask[]): Promise<Cells> => {
  const words = [`--net=${netns}`, ...traffic, 'ask', JSON.stringify(asks.map(questionOf))]
  const { stdout } = await promisify(execFile)('nsenter', words)
  const answers = JSON.parse(stdout) as (string | null)[]
  return Object.fromEntries(asks.map((ask, index) => [ask, answers[index] ? parseInt(answers[index]) : null]))
}

/** On a machine that does much else at once an answer may come too late; what never comes stays silent every time. */
const attempts = 5

/** Asserts who answers when asked from a network namespace. */
export const answers = async (t: Test, netns: string, expected: Cells, message: string): Promise<void> => {
  let seen: Cells = {}
  let open = Object.keys(expected) as Ask[]
  for (let attempt = 0; open.length > 0 && attempt < attempts; attempt++) {
    seen = { ...seen, ...await ask(netns, open) }
    open = open.filter(ask => seen[ask] === null && expected[ask] !== null)
  }
  t.same(seen, expected, message)
}
