// In place of the Go plugin, and beside it: records of either are seen, checked and removed by the other.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync,
  writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { holdersDirectory } from './holders.ts'

const reference = '/usr/lib/cni/host-local'
const skip = existsSync(reference) ? false : `${reference} is missing (Debian: containernetworking-plugins)`

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const script = `import { runPlugin } from '${at('../../cni/plugin.ts')}'
import { hostLocal } from '${at('host-local.ts')}'
runPlugin('host-local', () => hostLocal)`

type Subject = readonly [command: string, ...args: string[]]
const built = at('../../build/bin/host-local')
const ours: Subject = existsSync(built) ? [built] : [at('../../node_modules/.bin/bun'), '-e', script]
const theirs: Subject = [reference]

interface Answer { readonly status: number | null; readonly stdout: string }

const world = (t: Test, ranges: unknown = [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]]) => {
  const dataDir = mkdtempSync('/tmp/host-local-')
  const directory = `${dataDir}/net`
  t.teardown(() => {
    const store = statSync(directory, { throwIfNoEntry: false })
    if (store) rmSync(`${holdersDirectory}/${store.dev}-${store.ino}`, { force: true })
    rmSync(dataDir, { recursive: true })
  })
  const config = JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge',
    ipam: { type: 'host-local', dataDir, ranges } })
  const environment = (verb: string, id: string) =>
    ({ CNI_COMMAND: verb, CNI_CONTAINERID: id, CNI_IFNAME: 'eth0', CNI_NETNS: '/nowhere', CNI_PATH: '/usr/lib/cni',
      PATH: process.env['PATH'] })
  return {
    directory,
    call([command, ...args]: Subject, verb: string, id: string): Answer {
      const { status, stdout } = spawnSync(command, args,
        { input: config, env: environment(verb, id), encoding: 'utf8' })
      return { status, stdout }
    },
    start([command, ...args]: Subject, verb: string, id: string): Promise<Answer> {
      const child = spawn(command, args, { env: environment(verb, id), stdio: ['pipe', 'pipe', 'inherit'] })
      child.stdin.end(config)
      let stdout = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
      return new Promise(resolve => child.on('close', status => resolve({ status, stdout })))
    },
    records: (): string[] => readdirSync(directory).filter(name => /^[\d.]+$|:/.test(name)).sort(),
  }
}

const addresses = ({ stdout }: Answer): string[] => JSON.parse(stdout).ips.map((ip: { address: string }) => ip.address)

test('one after the other on the same store', { skip }, async t => {
  for (const [first, second, name] of [[theirs, ours, 'theirs first'], [ours, theirs, 'ours first']] as const) {
    await t.test(name, async t => {
      const { directory, call, records } = world(t)
      t.same(addresses(call(first, 'ADD', 'c1')), ['10.1.0.2/24', 'fd00::2/64'])
      t.same(addresses(call(second, 'ADD', 'c2')), ['10.1.0.3/24', 'fd00::3/64'], 'the order goes on')
      t.equal(readFileSync(`${directory}/10.1.0.2`, 'utf8'), 'c1\r\neth0')
      t.equal(readFileSync(`${directory}/10.1.0.3`, 'utf8'), 'c2\r\neth0')
      t.equal(readFileSync(`${directory}/last_reserved_ip.1`, 'utf8'), 'fd00::3')
      for (const [subject, id] of [[second, 'c1'], [first, 'c2']] as const) {
        t.equal(call(subject, 'CHECK', id).status, 0, 'checked by the other')
        t.not(call(subject, 'ADD', id).status, 0, 'refused a second time by the other')
      }
      t.same(records(), ['10.1.0.2', '10.1.0.3', 'fd00::2', 'fd00::3'])
      t.equal(call(second, 'DEL', 'c1').status, 0)
      t.same(records(), ['10.1.0.3', 'fd00::3'], 'removed by the other')
      t.not(call(first, 'CHECK', 'c1').status, 0)
      t.equal(call(first, 'DEL', 'c2').status, 0)
      t.same(records(), [])
      t.same(addresses(call(first, 'ADD', 'c1')), ['10.1.0.4/24', 'fd00::4/64'])
    })
  }
})

test('the same order to the end of the ranges and round', { skip }, async t => {
  const ranges = [[{ subnet: '10.1.0.0/29', gateway: '10.1.0.3' },
    { subnet: '10.2.0.0/24', rangeStart: '10.2.0.9', rangeEnd: '10.2.0.10' }]]
  const runs: string[][] = []
  for (const pair of [[theirs, theirs], [ours, ours], [ours, theirs]] as const) {
    await t.test(`${runs.length}`, async t => {
      const { call } = world(t, ranges)
      const seen: string[] = []
      for (let i = 0; i < 9; i++) {
        const subject = pair[i % 2]!
        if (i > 2) t.equal(call(subject, 'DEL', `c${i - 3}`).status, 0)
        seen.push(...addresses(call(subject, 'ADD', `c${i}`)))
      }
      runs.push(seen)
    })
  }
  t.same(runs[1], runs[0])
  t.same(runs[2], runs[0])
})

test('60 at once, of both', { skip, timeout: 120_000 }, async t => {
  const { call, start, records } = world(t, [[{ subnet: '10.1.0.0/26' }]])
  const subject = (i: number): Subject => i % 2 === 0 ? ours : theirs
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => start(subject(i), 'ADD', `c${i}`)))
  t.same(answers.filter(({ status }) => status !== 0), [])
  t.equal(new Set(answers.flatMap(addresses)).size, 60, 'no address twice')
  t.equal(records().length, 60)
  await Promise.all(Array.from({ length: 60 }, (_, i) => start(subject(i + 1), 'DEL', `c${i}`)))
  t.same(records(), [])
  t.equal(call(ours, 'CHECK', 'c0').status, 1, 'nothing is believed to be there')
})

test('half the crowd comes, half goes', { skip, timeout: 120_000 }, async t => {
  const { call, start, records } = world(t, [[{ subnet: '10.1.0.0/24' }]])
  for (let i = 0; i < 20; i++) call(i % 2 ? ours : theirs, 'ADD', `old${i}`)
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) =>
    start(i % 3 === 0 ? theirs : ours, i < 20 ? 'DEL' : 'ADD', i < 20 ? `old${i}` : `new${i}`)))
  t.same(answers.filter(({ status }) => status !== 0), [])
  t.equal(records().length, 20)
  for (let i = 20; i < 40; i++) t.equal(call(ours, 'CHECK', `new${i}`).status, 0)
})

test('a store from before a reboot',
  { skip: skip || (existsSync('/etc/machine-id') ? false : 'this machine has no id') }, async t => {
  const { directory, call, records } = world(t, [[{ subnet: '10.1.0.0/29' }]])
  mkdirSync(directory)
  writeFileSync(`${directory}/lock`,
    `boot 00000000-0000-4000-8000-000000000000 machine ${readFileSync('/etc/machine-id', 'utf8')}`)
  for (const last of [2, 3, 4, 5, 6]) {
    writeFileSync(`${directory}/10.1.0.${last}`, `c${last}\r\neth0`)
    utimesSync(`${directory}/10.1.0.${last}`, 1e9, 1e9)
  }
  t.not(call(theirs, 'ADD', 'new').status, 0, 'the reference finds it full')
  t.same(addresses(call(ours, 'ADD', 'new')), ['10.1.0.2/29'])
  t.same(records(), ['10.1.0.2'])
  t.same(addresses(call(theirs, 'ADD', 'newer')), ['10.1.0.3/29'], 'and it goes on with a lock that says something')
  t.equal(call(theirs, 'DEL', 'new').status, 0)
  t.same(records(), ['10.1.0.3'])
})
