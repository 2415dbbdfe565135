// Runs a script in network and mount namespaces of its own. unshare(1), mount(8).
import { spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import process from 'node:process'

/** Carries the caller's network namespace to the second run, which compares it with its own. */
const marker = 'FAIRLEAD_OUTER_NETNS'

/**
 * What plugins, runtimes and iptables(8) write to is hidden behind empty memory file systems; /sys is mounted anew
 * because it shows the links of the namespace that it was mounted in.
 */
const boot = `
set -e
mount --make-rprivate /
for folder in /run /var/lib; do mount -t tmpfs tmpfs $folder; done
mount -t sysfs sysfs /sys
mkdir /run/netns /run/lock
ip link set lo up
exec "$@"
`

/**
 * Returns once this process is in private namespaces; the process that called first only waits for its second self and
 * leaves with that one's exit status. To be called before anything touches the network or those folders.
 *
 * @throws Error when namespaces are not to be had
 */
export function enterPrivateNamespaces(): void {
  const own = readlinkSync('/proc/self/ns/net')
  const outer = process.env[marker]
  if (outer !== undefined && outer !== own) {
    delete process.env[marker]
    return
  }
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const { status, signal, error } = spawnSync('unshare', ['-n', '-m', 'sh', '-c', boot, 'sh', ...again], {
    stdio: 'inherit',
    env: { ...process.env, [marker]: own },
  })
  if (error) throw error
  process.exit(status ?? (signal === null ? 1 : 128))
}
