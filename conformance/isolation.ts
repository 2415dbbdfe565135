// The private machine of a worker: network, mount, process and host-name namespaces, and empty state directories.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { processes } from './snapshot.ts'

/** State that plugins keep lives here; each worker has both empty and to itself. */
export const stateDirectories = ['/run', '/var/lib/cni'] as const

// As process 1 the shell collects orphans; when it ends the kernel kills whatever is left in the namespace.
const script = (directories: readonly string[]): string => `
set -e
for directory in ${directories.join(' ')}; do
  mkdir -p "$directory"
  mount -t tmpfs tmpfs "$directory"
done
[ ! -d /etc/cni ] || mount -t tmpfs tmpfs /etc/cni
mkdir -p /run/netns /run/lock
ip link set lo up
set +e
"$@"
exit $?`

/** Starts Node with these arguments in private namespaces; stdin and stdout are pipes, stderr is ours. */
export const startIsolated = (args: readonly string[], state: readonly string[]): ChildProcess =>
  spawn('unshare', [
    '--net', '--mount', '--pid', '--uts', '--fork', '--kill-child', '--mount-proc',
    'sh', '-c', script([...stateDirectories, ...state]), 'sh',
    process.execPath, '--disable-warning=ExperimentalWarning', ...args,
  ], { stdio: ['pipe', 'pipe', 'inherit'] })

/** Removes what a case has left: its processes, namespaces, mounts and files. Only for use inside. */
export const sweep = (state: readonly string[]): void => {
  for (const { id } of processes()) process.kill(id, 'SIGKILL')
  const namespaces = readdirSync('/run/netns').map(name => `/run/netns/${name}`)
  // Some are files and not mounts, and a case without a world has not mounted /sys.
  spawnSync('umount', ['-l', '-q', '/sys', ...namespaces])
  for (const path of namespaces) rmSync(path, { recursive: true, force: true })
  for (const directory of [...stateDirectories, ...state])
    for (const name of readdirSync(directory))
      if (name !== 'netns') rmSync(`${directory}/${name}`, { recursive: true, force: true })
  mkdirSync('/run/lock')
}
