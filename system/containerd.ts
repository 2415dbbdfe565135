// containerd and ctr(8) in a private machine; go-cni reads the first list of /etc/cni/net.d and adds "cni-loopback".
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Machine } from './machine.ts'
import { addressesIn, awaitServer } from './reach.ts'
import { rootfs, server } from './rootfs.ts'

/** The daemon's socket inside the machine. */
export const socket = '/run/containerd/containerd.sock'

/** The machine has no cgroups; crun can do without, but only its command line tells it so. */
const runtime = '/run/crun-without-cgroups'

const settings = (sandboxImage: string): string => `
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${sandboxImage}"
disable_cgroup = true
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
max_conf_num = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "${runtime}"
`

const ctrRun = (name: string, options: readonly string[], command: readonly string[]): string[] =>
  ['ctr', 'run', '--rm', '--runc-binary', runtime, ...options, '--rootfs', rootfs, name, ...command]

/**
 * Starts containerd, whose pods begin as a container of `sandboxImage`, and waits for its socket.
 * @returns why it cannot run a container here even without a network, else false
 */
export const startContainerd = (machine: Machine, sandboxImage: string): string | false => {
  machine.write(runtime, '#!/bin/sh\nexec crun --cgroup-manager=disabled "$@"\n', 0o755)
  machine.write('/etc/containerd/config.toml', settings(sandboxImage))
  machine.start('sh', '-c', 'exec containerd >/run/containerd.log 2>&1')
  machine.run('timeout', '20', 'sh', '-c', 'until ctr version >/dev/null 2>&1; do sleep 0.05; done')
  const { status, words } = machine.attempt(...ctrRun('probe', [], ['/bin/true']))
  return status !== 0 && `containerd runs no container here: ${words}`
}

/**
 * The container's process, as the machine numbers it; `namespace` is containerd's, k8s.io for pods.
 * @throws Error when no such container runs
 */
export const pidOf = (machine: Machine, name: string, namespace = 'default'): string => {
  const tasks = machine.run('ctr', '--namespace', namespace, 'task', 'list').split('\n')
  const [, pid] = tasks.map(task => task.split(/\s+/)).find(([task]) => task === name) ?? []
  if (pid === undefined) throw new Error(`no container ${name} runs`)
  return pid
}

/**
 * The words that run an applet in a container; `namespace` is containerd's, k8s.io for pods.
 * Not with `ctr task exec`, which loses the output of a short command once in some hundred times.
 * @throws Error when no such container runs
 */
export const inContainer = (machine: Machine, name: string, namespace = 'default'): string[] =>
  ['nsenter', '--target', pidOf(machine, name, namespace), '--net', '--mount', '--root', '--', '/bin/busybox']

/** A container of `ctr run --rm --cni`, in the foreground of its own ctr. */
export class Served {
  readonly name: string
  readonly #machine: Machine
  readonly #ctr: ChildProcess

  constructor(machine: Machine, name: string, ctr: ChildProcess) {
    this.name = name
    this.#machine = machine
    this.#ctr = ctr
  }

  /** Waits for the server. @returns the container's IPv4 and IPv6 address */
  addresses(): string[] {
    const place = inContainer(this.#machine, this.name)
    awaitServer(this.#machine, place)
    return addressesIn(this.#machine.run(...place, 'ip', '-o', 'address', 'show', 'scope', 'global'))
  }

  /** Kills the container and waits until ctr has removed its network. */
  async kill(): Promise<void> {
    const ended = once(this.#ctr, 'exit')
    this.#machine.run('ctr', 'task', 'kill', '--signal', 'KILL', this.name)
    await ended
  }
}

/** Starts a container with the HTTP server; it has its network when its task runs. */
export const serve = (machine: Machine, name: string): Served => {
  const ctr = machine.start(...ctrRun(name, ['--cni'], server))
  const running = `until ctr task list | grep -q '^${name} .*RUNNING'; do sleep 0.05; done`
  machine.run('timeout', '10', 'sh', '-c', running)
  return new Served(machine, name, ctr)
}
