// The executable's first lines: by which of its names was it called?
import { findDriver, pluginNames } from '#plugins/table.ts'
import { about, exit, requestedType, runPlugin } from '#cni/plugin.ts'

const called = process.argv0.slice(process.argv0.lastIndexOf('/') + 1)

// Under a name of somebody's own making, the configuration's type tells what is meant.
const name = pluginNames.includes(called) ? called : process.env['CNI_COMMAND'] ? requestedType() : undefined

if (name !== undefined && pluginNames.includes(name)) {
  if (process.env['CNI_COMMAND']) runPlugin(name, findDriver)
  about(name)
  exit(0)
}
const { runCommand }: typeof import('./command.ts') = require('./command.ts')
const status = runCommand(process.argv.slice(2), { plugins: pluginNames })
if (typeof status === 'number') exit(status)
else status.then(exit)
