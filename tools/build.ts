// Builds build/bin: one executable, and a relative symbolic link to it for each plugin.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { pluginNames } from '#plugins/table.ts'
import { harden } from './harden.ts'
import { recordOrder } from './order.ts'

const directory = 'build/bin'
const executable = 'fairlead'
const fresh = `build/${executable}.new`

const flags = [
  '--compile', '--minify', '--bytecode',
  // A root process must never read .env or bunfig.toml from the directory it happens to be called in.
  '--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig',
  // Only the code of the plugin that is called is read in.
  '--format=esm', '--splitting',
  // A call is over before compiling to machine code has paid for itself.
  '--compile-jit-policy=10',
]

const compile = (...more: string[]): void => {
  const args = ['build', ...flags, ...more, 'cli/main.ts', '--outfile', fresh]
  const run = spawnSync('node_modules/.bin/bun', args, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`bun build exited with ${run.status}: ${run.stderr}`)
}


compile()
const order = recordOrder(fresh, pluginNames)
if (order.length > 0) compile(`--bytecode-order=${order.join()}`)
harden(fresh)

mkdirSync(directory, { recursive: true })
renameSync(fresh, `${directory}/${executable}`)
for (const name of readdirSync(directory)) if (name !== executable) rmSync(`${directory}/${name}`)
for (const name of pluginNames) symlinkSync(executable, `${directory}/${name}`)
