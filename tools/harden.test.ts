// harden(): what the environment could do to an executable before, and cannot after.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { environmentDoors, harden } from './harden.ts'

const folder = mkdtempSync(join(tmpdir(), 'harden-'))
const open = join(folder, 'open')
const closed = join(folder, 'closed')
const evil = join(folder, 'evil.js')
const trace = join(folder, 'trace')
const bun = join(import.meta.dirname, '../node_modules/.bin/bun')

writeFileSync(join(folder, 'hello.ts'), 'import fs from "node:fs"\nfs.writeSync(1, "hello\\n")\n')
writeFileSync(evil, `require('fs').writeFileSync(${JSON.stringify(trace)}, 'evil')\n`)
execFileSync(bun, ['build', '--compile', '--minify', '--bytecode', join(folder, 'hello.ts'), '--outfile', open],
  { stdio: 'pipe', cwd: folder })
copyFileSync(open, closed)
harden(closed)

/** Runs a copy with a few more variables; says what it printed, how it ended and which files it left. */
function run(file: string, variables: Record<string, string>): string {
  rmSync(trace, { force: true })
  const { stdout, status, signal } = spawnSync(file, {
    env: { ...process.env, ...variables },
    cwd: folder,
    encoding: 'utf8',
    timeout: 3000,
    killSignal: 'SIGKILL',
  })
  return `${stdout.slice(0, 6)} ${signal ?? status}${existsSync(trace) ? ' and a trace' : ''}`.replaceAll('\n', '')
}

const clean = 'hello 0'

const attacks: Record<string, string>[] = [
  { BUN_BE_BUN: '1' },
  { BUN_OPTIONS: `--preload ${evil}` },
  { BUN_OPTIONS: '--version' },
  { BUN_INSPECT: '127.0.0.1:0/x?break=1' },
  { BUN_BYTECODE_ORDER_OUT: trace },
  { BUN_BYTECODE_DIGEST_OUT: trace },
  { BUN_JSC_bogus: '1' },
  { JSC_SIGNAL_FOR_GC: '9' },
]

for (const variables of attacks) {
  test(JSON.stringify(variables).replaceAll(folder, ''), async (t) => {
    t.not(run(open, variables), clean, 'does harm to an executable as Bun makes it')
    t.equal(run(closed, variables), clean, 'does nothing to a hardened one')
  })
}

test('each name in turn is gone, and nothing else changed', async (t) => {
  const before = readFileSync(open)
  const after = readFileSync(closed)
  for (const name of Object.keys(environmentDoors)) t.equal(after.indexOf(`\0${name}\0`, 0, 'latin1'), -1, name)
  t.equal(after.length, before.length)
  let differing = 0
  for (let at = 0; at < before.length; at += 1) if (before[at] !== after[at]) differing += 1
  t.equal(differing, Object.keys(environmentDoors).length + 1, 'one byte for each name and one for BUN_JSC_')
})

test('a file that is not what it expects is refused and left alone', async (t) => {
  const before = readFileSync(closed)
  t.throws(() => harden(closed), /found it 0 times/)
  t.ok(before.equals(readFileSync(closed)))
  t.throws(() => harden(evil), /ELF/)
})

process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
