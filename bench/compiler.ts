// Compiles the C programs of the benchmark with the machine's own compiler.
import { spawnSync } from 'node:child_process'
import { join, parse } from 'node:path'

/** The executable built from `source`, a file beside this one, into `folder`; undefined where there is no compiler. */
export function compile(source: string, folder: string): string | undefined {
  const program = join(folder, parse(source).name)
  const words = ['-O2', '-o', program, join(import.meta.dirname, source)]
  const { status, error } = spawnSync('cc', words, { stdio: 'inherit' })
  return error || status !== 0 ? undefined : program
}
