// cnitool and our command line on the same attachments: what one adds, the other checks and deletes.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { enterPrivateNamespaces } from '#tools/privacy.ts'
import { runCommand } from './command.ts'

const PEER = '/usr/lib/cni'
const NETNS = '/run/netns/client'
const RESULTS = '/var/lib/cni/results'

const found = spawnSync('sh', ['-c', 'command -v "${CNITOOL:-cnitool}"'], { encoding: 'utf8' })
const cnitool = found.stdout.trim()

const lacking = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  if (cnitool === '') return 'cnitool is neither in $CNITOOL nor on PATH'
  const missing = ['bridge', 'host-local', 'tuning'].filter(type => !existsSync(`${PEER}/${type}`))
  return missing.length > 0 && `no ${missing.join(', ')} in ${PEER}`
}

const skip = lacking()
if (skip === false) enterPrivateNamespaces()

const sh = (script: string): string => {
  const run = spawnSync('sh', ['-c', script], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`${script}: ${run.stderr}`)
  return run.stdout
}

/** What differs from one ADD to the next: hardware addresses, names of veths, leased addresses. */
const masked = (text: string): string => text
  .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC')
  .replace(/veth[0-9a-f]+/g, 'VETH')
  .replace(/10\.9\.0\.\d+\/24/g, 'LEASE')

for (const version of ['0.3.1', '0.4.0', '1.0.0']) {
  test(`cniVersion ${version}`, { skip }, async t => {
    const configurations = mkdtempSync(join(tmpdir(), 'fairlead-cnitool-'))
    sh('ip netns add client')
    t.teardown(() => {
      sh('ip netns del client; ip link del test0 2>/dev/null; rm -rf /var/lib/cni')
      rmSync(configurations, { recursive: true })
    })
    const ipam = { type: 'host-local', subnet: '10.9.0.0/24', routes: [{ dst: '0.0.0.0/0' }] }
    writeFileSync(join(configurations, 'n.conflist'), JSON.stringify({
      cniVersion: version, name: 'n', plugins: [
        { type: 'bridge', bridge: 'test0', isGateway: true, ipam },
        { type: 'tuning', capabilities: { mac: true }, sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } },
      ],
    }))
    const variables = {
      PATH: process.env['PATH'], NETCONFPATH: configurations, CNI_PATH: PEER, CNI_ARGS: 'IgnoreUnknown=1;A=b',
      CAP_ARGS: '{"mac":"c2:11:22:33:44:55","other":"<&>"}',
    }

    const theirs = (verb: string): string => {
      const run = spawnSync(cnitool, [verb, 'n', NETNS], { env: variables, encoding: 'utf8' })
      if (run.status !== 0) throw new Error(`cnitool ${verb}: ${run.stderr}`)
      return run.stdout
    }
    const ours = (verb: string): string => {
      let stdout = ''
      const shell = {
        variables, directory: '/', executable: '/usr/bin/fairlead', stateDirectory: '/var/lib/cni',
        print: (text: string): void => { stdout += text }, complain: (line: string): void => t.comment(line),
      }
      if (runCommand([verb, 'n', 'client'], { plugins: [], shell }) !== 0) throw new Error(`${verb} failed`)
      return stdout
    }
    const record = (): string => masked(readFileSync(join(RESULTS, readdirSync(RESULTS)[0]!), 'utf8'))
    const left = (): unknown => ({
      records: readdirSync(RESULTS),
      leases: readdirSync('/var/lib/cni/networks/n').filter(name => /^10\./.test(name)),
      links: sh('ip -br -n client link; ip -br link').split('\n').filter(line => /^(eth0|veth)/.test(line)),
    })
    const nothing = { records: [], leases: [], links: [] }

    const theirResult = theirs('add')
    const theirRecord = record()
    if (version !== '0.3.1') ours('check')
    ours('del')
    t.same(left(), nothing, 'what cnitool added, ours deletes')

    const ourResult = ours('add')
    t.equal(record(), theirRecord, 'the records are the same to the byte')
    t.same(JSON.parse(masked(ourResult)), JSON.parse(masked(theirResult)), 'and so are the results')
    t.match(left(), { records: { length: 1 }, leases: { length: 1 }, links: { length: 2 } })
    if (version !== '0.3.1') theirs('check')
    theirs('del')
    t.same(left(), nothing, 'what ours added, cnitool deletes')

    theirs('add')
    ours('gc')
    t.same(left(), nothing, 'what cnitool added, our gc collects')
  })
}
