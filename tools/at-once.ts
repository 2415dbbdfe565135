// For *.kernel.test.ts: what happens when several processes do something at the same time.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

// tap's runner puts its hook into every process that a test starts.
const loader = `--import=${import.meta.resolve('./tap-loader.ts')}`
const args = ['--disable-warning=ExperimentalWarning', loader, '--input-type=module', '-e'] as const

/**
 * Runs a module in one process for each environment, in the namespace of the caller.
 * @returns for each its exit status, and behind it what it complained about
 */
export const atOnce = (script: string, environments: readonly Readonly<Record<string, string>>[]): Promise<string[]> =>
  Promise.all(environments.map(async environment => {
    const env = { ...process.env, ...environment }
    const child = spawn(process.execPath, [...args, script], { env, stdio: ['ignore', 'inherit', 'pipe'] })
    let complaint = ''
    child.stderr.on('data', data => { complaint += data })
    const [status] = await once(child, 'close')
    return `${status} ${complaint}`.trim()
  }))
