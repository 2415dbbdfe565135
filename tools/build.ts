// Builds build/bin: one executable, and a relative symbolic link to it for each plugin.
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { pluginNames } from '#plugins/table.ts'
import { harden } from './harden.ts'

const directory = 'build/bin'
const executable = 'fairlead'
const fresh = `build/${executable}.new`

// A root process must never read .env or bunfig.toml from the directory it happens to be called in.
const flags = ['--compile', '--minify', '--bytecode', '--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig']

const run = spawnSync('node_modules/.bin/bun', ['build', ...flags, 'cli/main.ts', '--outfile', fresh], { stdio: ['ignore', 'ignore', 'inherit'] })
if (run.status !== 0) throw new Error(`bun build exited with ${run.status}`)
harden(fresh)

mkdirSync(directory, { recursive: true })
renameSync(fresh, `${directory}/${executable}`)
for (const name of pluginNames) {
  rmSync(`${directory}/${name}`, { force: true })
  symlinkSync(executable, `${directory}/${name}`)
}
