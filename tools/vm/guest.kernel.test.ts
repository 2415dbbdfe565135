// The guest itself: what comes out of it, and that nothing of it stays.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { test } from 'tap'
import { tolerate } from '#sys/errno.ts'
import { runInGuest, type Outcome } from './guest.ts'
import { findKernel, type Kernel } from './kernel.ts'

const nothing: Kernel = { executable: '/nonexistent', shim: undefined }

const guest = async (command: string, limit = 60, kernel?: Kernel): Promise<Outcome & { lines: string[] }> => {
  const lines: string[] = []
  const outcome = await runInGuest(kernel ?? findKernel(), { command, limit, hear: line => lines.push(line) })
  return { ...outcome, lines }
}

/** Why no guest can be had here. */
const reason = async (): Promise<string | false> => {
  try {
    const { release, complaint } = await guest('true')
    return release ? false : complaint
  } catch (error) {
    return (error as Error).message
  }
}

const skip = await reason()

/** Processes in the process namespace that the only child of a process has made. */
const companions = (starter: number): string[] => {
  const [child] = readFileSync(`/proc/${starter}/task/${starter}/children`, 'utf8').split(' ')
  const namespaceOf = (link: string): string | undefined =>
    tolerate(['ENOENT', 'ESRCH', 'EACCES'], () => readlinkSync(link))
  const made = namespaceOf(`/proc/${child}/ns/pid_for_children`)
  return readdirSync('/proc').filter(id => /^\d+$/.test(id) && namespaceOf(`/proc/${id}/ns/pid`) === made)
}

test('what a command says and how it ends comes out, what it writes does not', { skip }, async t => {
  const { lines, exit } = await guest(`
    for kind in dummy 'bridge vlan_filtering 1'; do ip link add type $kind && echo "has $kind"; done
    echo x >package.json; touch vm-was-here /etc/vm-was-here; echo 'to stderr' >&2; seq 20000; pwd; exit 3`)
  t.equal(exit, 3)
  t.same(lines.slice(0, 3), ['has dummy', 'has bridge vlan_filtering 1', 'to stderr'])
  t.same(lines.slice(-2), ['20000', process.cwd()])
  t.equal(lines.length, 20004)
  t.notOk(existsSync('vm-was-here') || existsSync('/etc/vm-was-here'))
  t.ok(existsSync('package.json'))
})

test('a process that is left behind holds nothing up', { skip }, async t => {
  t.match(await guest('sleep 1000 & echo done'), { exit: 0, lines: ['done'] })
})

test('a command that does not end is ended', { skip }, async t => {
  t.match(await guest('sleep 1000', 5), { exit: undefined, complaint: 'not done after 5 s' })
})

test('a guest that cannot start says why', { skip }, async t => {
  t.match(await guest('true', 60, nothing), { release: undefined, exit: undefined, complaint: /nonexistent/ })
})

test('a guest dies with whoever started it', { skip }, async t => {
  const starter = spawn(process.execPath, ['tools/vm/run.ts', 'echo started; sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(() => starter.kill('SIGKILL'))
  await once(starter.stdout, 'data')
  const inside = companions(starter.pid!)
  t.ok(inside.length > 2, 'the kernel and its processes')
  starter.kill('SIGKILL')
  for (let tries = 0; tries < 50 && inside.some(id => existsSync(`/proc/${id}`)); tries++) await after(100)
  t.same(inside.filter(id => existsSync(`/proc/${id}`)), [])
})
