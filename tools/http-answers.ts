// For tests: a TCP connection between two namespaces, and what comes through it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { Namespace } from '#net/namespace.ts'

const server = (address: string): string => `
  const text = 'x'.repeat(100_000)
  require('node:http').createServer((request, response) => response.end(text))
    .listen(8080, ${JSON.stringify(address)}, () => console.log('ready'))`

const client = (address: string): string => `
  fetch('http://${address.includes(':') ? `[${address}]` : address}:8080/').then(response => response.text())
    .then(text => process.exit(text.length === 100_000 ? 0 : 1), () => process.exit(1))`

/** Whether 100 kB come by HTTP from a server in one namespace to a client in another. */
export const httpAnswers = async (from: Namespace, to: Namespace, address: string): Promise<boolean> => {
  const command = ['--pdeathsig', 'KILL', '--', process.execPath, '-e', server(address)]
  const child = to.run(() => spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'inherit'] }))
  try {
    await once(child.stdout, 'data')
    return from.run(() => spawnSync(process.execPath, ['-e', client(address)], { timeout: 10_000 })).status === 0
  } finally {
    child.kill('SIGKILL')
  }
}
