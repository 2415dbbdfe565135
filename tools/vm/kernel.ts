// Which kernel the guest runs, and what it needs to start on this machine.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

export interface Kernel {
  readonly executable: string
  /** A library to load before it, for processors that need it. */
  readonly shim: string | undefined
}

const here = import.meta.dirname
const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fairlead')
const digest = (...files: readonly string[]): string =>
  files.reduce((hash, file) => hash.update(readFileSync(join(here, file))), createHash('sha256'))
    .digest('hex').slice(0, 12)

/** Where the kernel built from these very files is, or would be. */
export const builtKernel = (): string => join(cache, `linux-${digest('kernel.config', 'build-kernel.sh')}`)

/** Runs a program that may fail. @throws Error with the last line that it wrote */
const run = (command: string, ...args: readonly string[]): void => {
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1) || `${command} exited with ${status}`)
}

const packages = join(here, '../packages.sh')

/** xstate.c, compiled, where the processor has AMX. */
const shim = (): string | undefined => {
  if (!/^flags.*\bamx/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) return undefined
  const library = join(cache, `xstate-${digest('xstate.c')}.so`)
  if (existsSync(library)) return library
  run(packages, 'gcc', 'libc6-dev')
  mkdirSync(cache, { recursive: true })
  const fresh = `${library}.${process.pid}`
  run('gcc', '-O2', '-shared', '-fPIC', '-o', fresh, join(here, 'xstate.c'))
  renameSync(fresh, library)
  return library
}

const executable = (): string => {
  const named = process.env['FAIRLEAD_VM_KERNEL']
  if (named) {
    try {
      accessSync(named, constants.X_OK)
      return resolve(named)
    } catch {
      throw new Error(`FAIRLEAD_VM_KERNEL=${named} is no executable: name a user-mode Linux, or nothing`)
    }
  }
  if (existsSync(builtKernel())) return builtKernel()
  run(packages, 'user-mode-linux', 'kmod')
  return '/usr/bin/linux.uml'
}

/**
 * The kernel that FAIRLEAD_VM_KERNEL names, otherwise the one built here, otherwise Debian's, which is installed.
 * @throws Error with the reason why there is none
 */
export const findKernel = (): Kernel => {
  if (process.arch !== 'x64') throw new Error(`user-mode Linux needs x86-64, this is ${process.arch}`)
  if (process.getuid?.() !== 0) throw new Error('needs root')
  run(packages, 'busybox-static')
  return { executable: executable(), shim: shim() }
}
