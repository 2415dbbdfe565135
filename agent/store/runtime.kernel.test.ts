// The agent runs under Bun, the tests under Node: stores must behave the same.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { test } from 'tap'
import { Authority } from '#tools/certificates.ts'
import { startEtcd } from '#tools/etcd.ts'
import { lacks, ownNamespace } from '#tools/kernel.ts'

const skip = lacks('etcd') || lacks('openssl')
const runtimes = { node: [process.execPath, '--disable-warning=ExperimentalWarning'], bun: ['node_modules/.bin/bun'] }
const expected = [true, 'ä', ['ä'], 'c', '/talk/b', false, true, 'stale']

const talk = async ([program, ...options]: readonly string[], ...args: readonly string[]): Promise<unknown> => {
  const all = [...options, 'agent/store/conversation.ts', ...args]
  const child = spawn(program!, all, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20_000 })
  const words = child.stdout.setEncoding('utf8').toArray()
  const [status] = await once(child, 'exit')
  return status === 0 ? JSON.parse((await words).join('')) : `exit status ${String(status)}`
}

for (const [name, runtime] of Object.entries(runtimes)) {
  void test(`${name} and a directory`, async t => {
    const place = mkdtempSync('/tmp/fairlead-talk-')
    t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
    t.same(await talk(runtime, place), expected)
  })

  void test(`${name} and etcd`, { skip }, async t => {
    ownNamespace(t)
    const { endpoints } = await startEtcd(t)
    t.same(await talk(runtime, endpoints[0]!), expected)
  })

  void test(`${name} and etcd with certificates`, { skip }, async t => {
    ownNamespace(t)
    const authority = new Authority(t)
    const server = authority.issue('server', ['IP:127.0.0.1'])
    const client = authority.issue('client')
    const args = ['--cert-file', server.cert, '--key-file', server.key, '--trusted-ca-file', authority.cert]
    const { endpoints } = await startEtcd(t, { scheme: 'https', args: [...args, '--client-cert-auth'] })
    t.same(await talk(runtime, endpoints[0]!, authority.cert, client.cert, client.key), expected)
  })
}
