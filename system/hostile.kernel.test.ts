// Hostile surroundings: environment, working directory and descriptors of the caller do not change what a plugin does.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { comment, test } from 'tap'
import { enterPrivateNamespaces } from '../tools/privacy.ts'
import { isShared, without } from './facts.ts'
import { Host } from './host.ts'
import type { Configuration, Reply } from './host.ts'

enterPrivateNamespaces()

// The runner hears it; a channel to it this process has not.
comment('timeout=600000')

const folder = mkdtempSync(join(tmpdir(), 'hostile-'))
const evil = join(folder, 'evil.js')
const trace = join(folder, 'trace')
chmodSync(folder, 0o755)
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

mkdirSync(join(folder, 'node_modules/fs'), { recursive: true })
const evilScript = `require('node:fs').writeFileSync(${JSON.stringify(trace)}, 'evil')\nconsole.log('evil')\n`
for (const file of ['evil.js', 'node_modules/fs/index.js']) writeFileSync(join(folder, file), evilScript)
writeFileSync(join(folder, '.env'), 'CNI_COMMAND=VERSION\nCNI_IFNAME=evil0\nBUN_OPTIONS=--preload ./evil.js\n')
writeFileSync(join(folder, 'bunfig.toml'), 'preload = ["./evil.js"]\nsmol = true\n')
writeFileSync(join(folder, 'package.json'), '{"name": 1, "imports": {"#*": "./evil.js"}, "main": "./evil.js"}')
writeFileSync(join(folder, 'tsconfig.json'), '{"compilerOptions": {"paths": {"*": ["./evil.js"]}}}')

/** Starts a plugin in the evil folder with these variables. */
const withVariables = (...variables: string[]): string[] => ['env', '-C', folder, ...variables]

/** Starts a plugin from a shell; `$0` is the plugin. */
const fromShell = (script: string): string[] => ['sh', '-c', script]

/** Everything is as if nothing were strange. */
const harmless: Record<string, string[]> = {
  'BUN_OPTIONS=--preload': withVariables(`BUN_OPTIONS=--preload ${evil}`),
  'BUN_OPTIONS=--print': withVariables('BUN_OPTIONS=--print 1+1'),
  'BUN_OPTIONS=--version': withVariables('BUN_OPTIONS=--version'),
  'BUN_OPTIONS=--bogus': withVariables('BUN_OPTIONS=--bogus'),
  'BUN_BE_BUN': withVariables('BUN_BE_BUN=1'),
  'BUN_INSPECT': withVariables('BUN_INSPECT=127.0.0.1:0/x?break=1', `BUN_INSPECT_PRELOAD=${evil}`),
  'BUN_INSPECT_CONNECT_TO': withVariables('BUN_INSPECT_CONNECT_TO=127.0.0.1:9'),
  'BUN_BYTECODE_ORDER_OUT': withVariables(`BUN_BYTECODE_ORDER_OUT=${trace}`),
  'BUN_JSC options': withVariables('BUN_JSC_bogus=1', 'BUN_JSC_dumpOptions=1'),
  'JSC_SIGNAL_FOR_GC': withVariables('JSC_SIGNAL_FOR_GC=9'),
  'NODE_CHANNEL_FD': withVariables('NODE_CHANNEL_FD=1'),
  'NODE_OPTIONS': withVariables(`NODE_OPTIONS=--require ${evil}`),
  'a working directory full of configuration': withVariables(),
  'no HOME and no PATH': withVariables('-u', 'HOME', '-u', 'PATH'),
  'a HOME, a TMPDIR and a language that do not exist':
    withVariables('HOME=/nowhere', 'TMPDIR=/nowhere', 'LC_ALL=xx_YY', 'LANG=C.bogus'),
  'a small stack and few descriptors': fromShell('ulimit -n 64; exec "$0"'),
  'standard error closed': fromShell('exec "$0" 2>&-'),
}

/** The configuration cannot be read or the result not be told: no crash and no hang, and DEL cleans up. */
const hopeless: Record<string, string[]> = {
  'a deleted working directory': fromShell('mkdir /run/gone; cd /run/gone; rmdir /run/gone; exec "$0"'),
  'standard input closed': fromShell('exec "$0" 0<&-'),
  'standard output closed': fromShell('exec "$0" 1>&-'),
  'standard output full': fromShell('exec "$0" >/dev/full'),
  'everything closed': fromShell('exec "$0" 0<&- 1>&- 2>&-'),
}

/** An ADD must not say that all is well. */
const failing = ['standard input closed', 'standard output full', 'everything closed']

const loopback: Configuration = { cniVersion: '1.0.0', name: 'hostile', type: 'loopback' }

const bridge: Configuration = {
  cniVersion: '1.0.0',
  name: 'hostile',
  type: 'bridge',
  bridge: 'test0',
  isGateway: true,
  ipMasq: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
}

const calls: [string, Configuration][] = ['VERSION', 'ADD'].flatMap((verb) => [[verb, loopback], [verb, bridge]])

/** What differs from call to call without meaning anything: MAC addresses and the names that a plugin thinks up. */
function comparable({ status, stdout }: Reply): string {
  return `${status} ${stdout.replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC').replace(/"veth\w+"|host\d+-pod/g, 'NAME')}`
}

/** A call on a fresh host, then DEL in peace: the reply, and what stays. */
function attempt(verb: string, configuration: Configuration, prefix: string[]): { reply: Reply, left: string[] } {
  const host = new Host()
  rmSync(trace, { force: true })
  const netns = host.addPod()
  const before = host.facts(netns)
  const attachment = { id: 'test-1', netns, interface: configuration.type === 'loopback' ? 'lo' : 'eth0' }
  const reply = host.call(verb, configuration, attachment, prefix)
  const deleted = host.call('DEL', configuration, attachment)
  const left = without(host.facts(netns), before).filter((fact) => !isShared(fact))
  if (deleted.status !== 0) left.push(`DEL: ${deleted.stdout}`)
  if (existsSync(trace)) left.push('evil was here')
  host.close()
  return { reply, left }
}

for (const [verb, configuration] of calls) {
  test(`${configuration.type} ${verb}`, { timeout: 0 }, async (t) => {
    const { reply: usual } = attempt(verb, configuration, [])
    t.equal(usual.status, 0, 'succeeds in peace')
    for (const [name, prefix] of Object.entries(harmless)) {
      const { reply, left } = attempt(verb, configuration, prefix)
      t.equal(comparable(reply), comparable(usual), `${name}: the same result`)
      t.same(left, [], `${name}: nothing stays`)
    }
    for (const [name, prefix] of Object.entries(hopeless)) {
      const { reply, left } = attempt(verb, configuration, prefix)
      t.equal(reply.signal, null, `${name}: no crash`)
      if (verb === 'ADD' && failing.includes(name)) t.not(reply.status, 0, `${name}: it says that it failed`)
      t.same(left, [], `${name}: DEL cleans up`)
    }
  })
}
