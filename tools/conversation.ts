// For *.kernel.test.ts: who answers whom, over TCP and UDP (traffic.ts).
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Namespace } from '#net/namespace.ts'

interface Test { teardown(step: () => unknown): unknown }

export interface Question { readonly protocol: 'tcp' | 'udp'; readonly address: string; readonly port: number }

/** `seenAs` is the address that the server saw. */
export interface Answer { readonly port: number; readonly seenAs: string }

const traffic = [
  '--disable-warning=ExperimentalWarning', fileURLToPath(new URL('traffic.ts', import.meta.url)),
]

/** Answers on ports of a namespace until the test ends. Resolves when it does. */
export const serve = async (t: Test, where: Namespace, ...ports: readonly number[]): Promise<void> => {
  const server = where.run(() =>
    spawn(process.execPath, [...traffic, 'serve', ...ports.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] }))
  t.teardown(async () => {
    server.stdin.end()
    await once(server, 'exit')
  })
  await once(server.stdout, 'data')
}

/** Asks from a namespace, all questions at once; undefined stands for each that nobody answered. */
export const ask = async (
  from: Namespace, questions: readonly Question[],
): Promise<readonly (Answer | undefined)[]> => {
  const { stdout } = await from.run(() =>
    promisify(execFile)(process.execPath, [...traffic, 'ask', JSON.stringify(questions)]))
  return (JSON.parse(stdout) as (string | null)[]).map(answer => {
    const [port, seenAs = ''] = answer?.split(' ') ?? []
    return port === undefined ? undefined : { port: Number(port), seenAs }
  })
}
