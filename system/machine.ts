// A machine of its own for a container runtime: fresh network, mount and process namespaces (unshare(1), nsenter(1)).
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

// Runtimes write to many places: these are hidden behind tmpfs, /etc behind a copy, and all else is read-only. A tmpfs
// instead of the cgroup tree makes machines look alike: crun refuses hybrid ones, and nobody's cgroups are touched.
// The plugins are mounted through the working directory, because their path may lie below a hidden place.
// Everything in the machine dies with this shell, and the shell with its standard input: a killed test leaves nothing.
const boot = `
set -e
read -r pid rest < /proc/self/stat
mount -o remount,bind,ro /
for dir in /run /tmp /var/tmp /var/lib /opt; do mount -t tmpfs tmpfs $dir; done
mkdir -p /opt/cni/bin /run/lock
mount --no-canonicalize --bind . /opt/cni/bin
cp -a /etc /run/etc
mount --bind /run/etc /etc
rm -rf /etc/cni /etc/containers /etc/containerd
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /sys/fs/cgroup
ip link set lo up
echo $pid
read -r end
`

/** A test, or whatever else has an end. */
export interface Scope { teardown(step: () => unknown): unknown }

const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

/** A running private machine. Programs of the host run in it; its files are reachable from outside. */
export class Machine {
  readonly #shell: ChildProcess
  readonly #pid: string

  constructor(shell: ChildProcess, pid: string) {
    this.#shell = shell
    this.#pid = pid
  }

  /** Where a file of the machine is found from outside, for reading and writing. */
  path(name: string): string {
    return `/proc/${this.#pid}/root${name}`
  }

  /** Writes a file of the machine, its folders included; anything but text and bytes is written as JSON. */
  write(name: string, content: unknown, mode = 0o644): void {
    const data = typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content)
    mkdirSync(dirname(this.path(name)), { recursive: true })
    writeFileSync(this.path(name), data, { mode })
  }

  /** Runs a program to its end. `words` is what it wrote to standard error. @throws Error after 30 seconds */
  attempt(...command: string[]): { status: number | null, output: string, words: string } {
    const options = { encoding: 'utf8', env: environment, timeout: 30_000 } as const
    const { status, stdout, stderr, error } = spawnSync('nsenter', this.#enter(command), options)
    if (error) throw error
    return { status, output: stdout.trim(), words: stderr.trim() }
  }

  /** Runs a program that must succeed and returns what it printed. @throws Error with its last words otherwise */
  run(...command: string[]): string {
    const { status, output, words } = this.attempt(...command)
    if (status !== 0) throw new Error(`${command.join(' ')}: exit status ${status}: ${words}`)
    return output
  }

  /** Starts a program that stays; it dies with the machine at the latest. */
  start(...command: string[]): ChildProcess {
    return spawn('nsenter', this.#enter(command), { env: environment, stdio: 'ignore' })
  }

  /** Ends every process of the machine; its namespaces and files go with them. */
  async stop(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return
    this.#shell.stdin?.end()
    await once(this.#shell, 'exit')
  }

  #enter(command: readonly string[]): string[] {
    return ['--target', this.#pid, '--net', '--mount', '--pid', '--', ...command]
  }
}

/**
 * A private machine with the plugins of a directory in /opt/cni/bin, stopped when the test ends.
 * @throws Error with the shell's words when the namespaces or mounts are refused
 */
export const privateMachine = async (t: Scope, plugins: string): Promise<Machine> => {
  const options = ['--net', '--mount', '--pid', '--fork', '--kill-child', 'bash', '-c', boot]
  const shell = spawn('unshare', options, { cwd: plugins, env: environment })
  shell.stdout.setEncoding('utf8')
  shell.stderr.setEncoding('utf8')
  const words = shell.stderr.toArray()
  const [line] = await Promise.race([once(shell.stdout, 'data'), once(shell, 'exit')])
  if (typeof line !== 'string') throw new Error(`no private machine: ${(await words).join('').trim()}`)
  const machine = new Machine(shell, line.trim())
  t.teardown(() => machine.stop())
  return machine
}
