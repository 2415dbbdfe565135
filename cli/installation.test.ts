import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import { Installation } from './installation.ts'

const plugins = ['bridge', 'host-local', 'portmap']

/** A directory to install into, and an executable beside it. */
class Site implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'fairlead-install-'))
  readonly directory = join(this.root, 'bin')
  readonly source = join(this.root, 'built')
  readonly installation = new Installation(this.directory)
  constructor() {
    mkdirSync(this.directory)
    this.build('#!/bin/sh\necho first\n')
  }
  build(text: string): void { writeFileSync(this.source, text, { mode: 0o644 }) }
  at(name: string): string { return join(this.directory, name) }
  names(): string[] { return readdirSync(this.directory).sort() }
  [Symbol.dispose](): void { rmSync(this.root, { recursive: true, force: true }) }
}

test('install, again, upgrade, uninstall', async t => {
  using site = new Site()
  site.installation.install(site.source, plugins, false)
  t.same(site.names(), ['bridge', 'fairlead', 'host-local', 'portmap'])
  for (const name of plugins) t.equal(readlinkSync(site.at(name)), 'fairlead')
  t.equal(statSync(site.at('bridge')).mode & 0o777, 0o755)
  const before = lstatSync(site.at('bridge')).ino
  site.installation.install(site.source, plugins, false)
  t.equal(lstatSync(site.at('bridge')).ino, before, 'a link that is right stays')
  site.build('#!/bin/sh\necho second\n')
  site.installation.install(site.source, [...plugins, 'vlan'], false)
  t.match(readFileSync(site.at('vlan'), 'utf8'), /second/)
  const removed = ['bridge', 'host-local', 'portmap', 'vlan', 'fairlead']
  t.same(site.installation.uninstall('/no/such'), { removed, restored: [] })
  t.same(site.names(), [])
  t.same(site.installation.uninstall('/no/such'), { removed: [], restored: [] }, 'twice')
  t.same(new Installation(join(site.root, 'none')).uninstall('/no/such'), { removed: [], restored: [] })
})

test('the executable that is installed installs itself', async t => {
  using site = new Site()
  site.installation.install(site.source, [], false)
  const before = statSync(site.at('fairlead')).ino
  site.installation.install(site.at('fairlead'), plugins, false)
  t.equal(statSync(site.at('fairlead')).ino, before)
  t.equal(site.names().length, 4)
})

test('foreign files are refused before anything is touched', async t => {
  using site = new Site()
  writeFileSync(site.at('portmap'), 'theirs')
  symlinkSync('/usr/lib/cni/bridge', site.at('bridge'))
  const refusal = { message: /has bridge, portmap of other/, details: /--replace/ }
  t.throws(() => site.installation.install(site.source, plugins, false), refusal)
  t.same(site.names(), ['bridge', 'portmap'])
  rmSync(site.at('bridge'))
  mkdirSync(site.at('bridge'))
  t.throws(() => site.installation.install(site.source, plugins, true), { message: /bridge is a directory/ })
  t.same(site.names(), ['bridge', 'portmap'])
})

test('with replace they are kept, and come back', async t => {
  using site = new Site()
  writeFileSync(site.at('portmap'), 'theirs', { mode: 0o755 })
  writeFileSync(site.at('fairlead'), 'not ours')
  symlinkSync('/usr/lib/cni/bridge', site.at('bridge'))
  writeFileSync(site.at('vlan'), 'not our business')
  site.installation.install(site.source, plugins, true)
  t.same(site.names(), [
    'bridge', 'bridge.orig', 'fairlead', 'fairlead.orig', 'host-local', 'portmap', 'portmap.orig', 'vlan',
  ])
  t.equal(readlinkSync(site.at('bridge.orig')), '/usr/lib/cni/bridge')
  site.installation.install(site.source, plugins, false)
  const restored = ['bridge', 'portmap', 'fairlead']
  t.same(site.installation.uninstall('/no/such'), { removed: ['host-local'], restored })
  t.same(site.names(), ['bridge', 'fairlead', 'portmap', 'vlan'])
  t.equal(readFileSync(site.at('portmap'), 'utf8'), 'theirs')
  t.equal(statSync(site.at('portmap')).mode & 0o777, 0o755)
  t.equal(readlinkSync(site.at('bridge')), '/usr/lib/cni/bridge')
})

test('what is kept already is not overwritten', async t => {
  using site = new Site()
  writeFileSync(site.at('portmap'), 'newer')
  writeFileSync(site.at('portmap.orig'), 'older')
  t.throws(() => site.installation.install(site.source, plugins, true), { message: /portmap\.orig is there already/ })
  t.same(site.names(), ['portmap', 'portmap.orig'])
})

test('uninstall leaves what is not proven ours', async t => {
  using site = new Site()
  writeFileSync(site.at('fairlead'), 'somebody else\'s')
  symlinkSync('../fairlead', site.at('bridge'))
  writeFileSync(site.at('loopback.orig'), 'x')
  t.same(site.installation.uninstall(site.source), { removed: [], restored: [] })
  t.same(site.names(), ['bridge', 'fairlead', 'loopback.orig'])
  site.build('somebody else\'s')
  t.same(site.installation.uninstall(site.source).removed, ['fairlead'], 'the same bytes are proof')
})

test('what a killed run has left is removed by the next', async t => {
  using site = new Site()
  writeFileSync(site.at('.fairlead.4711.tmp'), 'half')
  site.installation.install(site.source, plugins, false)
  t.notOk(existsSync(site.at('.fairlead.4711.tmp')))
})

const run = async (command: string, args: readonly string[]): Promise<{ status: unknown; output: string }> => {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => { output += String(chunk) })
  const [status] = await once(child, 'close')
  return { status, output }
}

const node = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e']

/** A program that installs two executables that succeed, by turns. */
const installing = ({ directory }: Site, times: number): string => `
  import { Installation } from ${JSON.stringify(join(import.meta.dirname, 'installation.ts'))}
  for (let i = 0; i < ${times}; i++) {
    const source = i % 2 === 0 ? '/bin/echo' : '/bin/true'
    new Installation(${JSON.stringify(directory)}).install(source, ${JSON.stringify(plugins)}, false)
  }`

test('plugins run while they are installed over and over, by several at once', async t => {
  using site = new Site()
  site.installation.install('/bin/true', plugins, false)
  const installers = [1, 2].map(() => run(process.execPath, [...node, installing(site, 50)]))
  const loop = `until [ -e "${site.root}/done" ]; do "${site.at('bridge')}" > /dev/null || exit 1; done`
  const caller = run('timeout', ['60', 'sh', '-c', loop])
  for (const installer of installers) t.same(await installer, { status: 0, output: '' })
  writeFileSync(join(site.root, 'done'), '')
  t.same(await caller, { status: 0, output: '' })
  t.same(site.names(), ['bridge', 'fairlead', 'host-local', 'portmap'])
})

test('a killed install leaves the old or the new', async t => {
  using site = new Site()
  site.installation.install('/bin/true', plugins, false)
  const age = (): number => statSync(site.at('fairlead')).ctimeMs
  for (let i = 0; i < 5; i++) {
    const before = age()
    const child = spawn(process.execPath, [...node, installing(site, 1_000_000)], { stdio: 'ignore' })
    while (age() === before) await setTimeout(5)
    await setTimeout(Math.random() * 20)
    child.kill('SIGKILL')
    await once(child, 'close')
    for (const name of plugins) t.equal((await run(site.at(name), [])).status, 0)
  }
  site.installation.install('/bin/true', plugins, false)
  t.same(site.names(), ['bridge', 'fairlead', 'host-local', 'portmap'], 'and the next one cleans up')
})
