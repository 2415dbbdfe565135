// What the tests with real runtimes need, and the reason to skip them where it is missing.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'

/** The directory with the plugins under test: FAIRLEAD_BIN, else the build's. */
export const pluginDirectory = resolve(process.env['FAIRLEAD_BIN'] ?? `${import.meta.dirname}/../build/bin`)

const folders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

const executable = (path: string): boolean => {
  try { accessSync(path, constants.X_OK) } catch { return false }
  return true
}

const hasPlugin = (type: string): boolean => executable(`${pluginDirectory}/${type}`)

/** Why a test of one further plugin cannot run, false when it can. */
export const withoutPlugin = (type: string): string | false => !hasPlugin(type) && `no ${type} in ${pluginDirectory}`

/** Why a test with these programs cannot run here, in one line; false when it can. */
export const lacking = (...programs: readonly string[]): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  const plugins = ['bridge', 'host-local', 'loopback'].filter(type => !hasPlugin(type))
  if (plugins.length > 0) return `no ${plugins.join(', ')} in ${pluginDirectory}: build first, or set FAIRLEAD_BIN`
  const common = ['busybox', 'ip', 'iptables-save', 'ip6tables-save', 'nft', 'nsenter', 'ping', 'unshare']
  const missing = [...common, ...programs].filter(name => !folders.some(folder => executable(`${folder}/${name}`)))
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`
  const namespaces = ['--net', '--mount', '--pid', '--fork', 'mount', '-t', 'proc', 'proc', '/proc']
  const { status, stderr } = spawnSync('unshare', namespaces, { encoding: 'utf8' })
  return status !== 0 && `no namespaces here: ${stderr.trim()}`
}
