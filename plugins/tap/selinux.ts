// A tap with a context of SELinux's. The kernel labels it by the task that makes it, not by what that task has set for
// new sockets: selinux_tun_dev_create and selinux_tun_dev_alloc_security of security/selinux/hooks.c.
import { CniError, invalidConfig } from '#cni/errors.ts'
import type { Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { errnoOf } from '#sys/errno.ts'
import { readText, writeExisting } from '#sys/file.ts'

/**
 * The context that the next program starts with: proc_pid_attr(5). A process with several threads, as this one is, may
 * not take on another context itself.
 */
const NEXT_PROGRAM = '/proc/thread-self/attr/exec'

/** Selinuxfs is a file system that the kernel knows only when SELinux is on. @throws CniError 104 */
export const requireSelinux = (context: string | undefined): void => {
  if (context === undefined || /\bselinuxfs$/m.test(readText('/proc/filesystems') ?? '')) return
  throw new CniError(
    'unsupportedByKernel',
    `selinuxContext ${JSON.stringify(context)} needs SELinux, which is off on this host`,
    'remove selinuxContext, or start the kernel with SELinux',
  )
}

/** Runs `step`; the programs that it starts run under `context`. @throws CniError 7 when the policy does not know it */
const startingAs = <T>(context: string, step: () => T): T => {
  try {
    writeExisting(NEXT_PROGRAM, context)
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
    throw invalidConfig(`selinuxContext ${JSON.stringify(context)} is none that the policy knows`, 'see `seinfo -t`')
  }
  try {
    return step()
  } finally {
    writeExisting(NEXT_PROGRAM, '\n')
  }
}

interface Wishes {
  readonly owner?: number | undefined
  readonly group?: number | undefined
  readonly multiQueue: boolean
}

/**
 * ip tuntap add NAME mode tap, by that program and under the context. When it refuses it has left nothing.
 * @throws CniError 100 with its words
 */
export const addLabelled = (
  pod: Namespace, name: string, context: string, { owner, group, multiQueue }: Wishes, undo: Undo,
): void => {
  // Loaded here because a tap without a context does not come this far.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const args = [
    'tuntap', 'add', 'dev', name, 'mode', 'tap', 'vnet_hdr', ...(multiQueue ? ['multi_queue'] : []),
    ...(owner === undefined ? [] : ['user', `${owner}`]), ...(group === undefined ? [] : ['group', `${group}`]),
  ]
  const { error, status, signal, stderr } = pod.run(() => startingAs(context, () => {
    const ended = spawnSync('ip', args, { encoding: 'utf8' })
    if (ended.status === 0 || ended.signal !== null) undo(`link ${name}`, () => pod.link.remove(name))
    return ended
  }))
  if (error === undefined && status === 0) return
  const words = error === undefined ? stderr.trim().split('\n')[0] || `ended with ${signal ?? status}` : errnoOf(error)
  throw new CniError(
    'kernelRefused',
    `ip tuntap add ${name} as ${context}: ${words}`,
    'the policy must let the plugin start ip in that context, and ip make a tun_socket; ip must be on PATH',
  )
}
