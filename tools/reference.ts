// For *.kernel.test.ts: plugins of the Go suite that is installed on this machine, to be compared with.
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { lacks, output } from './kernel.ts'

const FOLDER = process.env['PEER'] ?? '/usr/lib/cni'

/** Reason to skip: the plugin of the Go suite is not installed, or the program that it starts. */
export const lacksReference = (plugin: string, program = 'iptables'): string | false =>
  lacks(program) || !existsSync(`${FOLDER}/${plugin}`) && `${FOLDER}/${plugin} is not installed`

/** A call of a plugin of the Go suite. `verb` is CNI_COMMAND. */
interface Call {
  readonly plugin: string
  readonly verb: 'ADD' | 'CHECK' | 'DEL'
  readonly containerId: string
  readonly pod: Namespace
  readonly config: Json
  /** PATH, where it is not the usual. */
  readonly path?: string | undefined
}

/** Has a plugin of the Go suite do something to a host. @throws Error with what it answered */
export const refer = (host: Namespace, { plugin, verb, containerId, pod, config, path }: Call): void => {
  const variables = {
    CNI_COMMAND: verb, CNI_CONTAINERID: containerId, CNI_NETNS: pod.path, CNI_IFNAME: 'eth0', CNI_PATH: FOLDER,
    ...path === undefined ? {} : { PATH: path },
  }
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
  output(host, 'env', [...settings, `${FOLDER}/${plugin}`], JSON.stringify({ type: plugin, ...config }))
}

/** A PATH with one program on it: with both iptables the CHECK of portmap 1.1.1 looks for each in either family. */
export const pathOf = (t: { teardown(step: () => void): unknown }, program: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-path-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(`/usr/sbin/${program}`, join(folder, program))
  return folder
}

/** What the bridge plugin of the Go suite would have answered for a container. */
export const bridgeResult = (pod: Namespace, addresses: readonly string[], bridge = 'br0'): Json => ({
  cniVersion: '0.4.0',
  interfaces: [{ name: bridge }, { name: 'veth01234567' }, { name: 'eth0', sandbox: pod.path }],
  ips: addresses.map(address => ({ version: address.includes(':') ? '6' : '4', interface: 2, address })),
})
