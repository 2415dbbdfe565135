// What surrounds a command. Only processShell reads the process; tests build their own.
import { readlinkSync } from 'node:fs'
import { status, writeAll } from '#sys/file.ts'
import type { Variables } from '#cni/environment.ts'

export interface Shell {
  readonly variables: Variables
  /** The working directory. */
  readonly directory: string
  /** The running executable; an interpreter's when the command runs from source. */
  readonly executable: string
  /** libcni's state directory; it has no setting for it. */
  readonly stateDirectory: string
  /** Writes to stdout as is. */
  print(text: string): void
  /** Writes a line to stderr. */
  complain(line: string): void
}

/** The working directory as Go sees it: $PWD keeps the symbolic links of the way there, if it still leads there. */
const workingDirectory = ({ PWD }: Variables): string => {
  const here = process.cwd()
  if (!PWD?.startsWith('/')) return here
  const [stated, actual] = [status(PWD), status(here)]
  return stated?.inode === actual?.inode && stated?.device === actual?.device ? PWD : here
}

/** The surroundings of this process. */
export const processShell = (): Shell => ({
  variables: process.env,
  directory: workingDirectory(process.env),
  executable: readlinkSync('/proc/self/exe').replace(/ \(deleted\)$/, ''),
  stateDirectory: '/var/lib/cni',
  print: text => writeAll(1, text),
  complain: line => writeAll(2, `${line}\n`),
})
