// For tests under tap's runner, whose own hook of Node's loader has `require` take TypeScript as it stands: with any
// hook Node leaves it to them to take out the types (Node 26.10, @tapjs/processinfo 3.1).
import { registerHooks, stripTypeScriptTypes } from 'node:module'

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    const isRequired = context.conditions.includes('require') && loaded.format === 'module-typescript'
    if (!isRequired || loaded.source === undefined || loaded.source === null) return loaded
    return { ...loaded, format: 'module', source: stripTypeScriptTypes(`${loaded.source}`) }
  },
})
