// What an agent is told: a JSON file, and options of the command line that go before it.
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { isObject } from '#cni/json.ts'
import { defaultRunDirectory } from '#cni/cluster/run-file.ts'
import { sha256 } from '#sys/digest.ts'
import { readText } from '#sys/file.ts'
import { checksumWishes, type ChecksumWish } from './checksum-offload.ts'
import { HOST_GRACE_PERIOD } from './janitor.ts'
import { OverlayError } from './overlay-error.ts'
import type { Access } from './store/etcd-gateway.ts'

export const defaultConfigFile = '/etc/fairlead/agent.json'

export interface Settings {
  /** A directory, or an etcd cluster. */
  readonly store: string | Access
  /** This host's name in the cluster: the same for ever, and never an address. */
  readonly hostId: string
  /** What people call it. */
  readonly hostName: string
  /** Address of the tunnel's end; default: one of `interface`. */
  readonly address: string | undefined
  /** The link of the underlay; default: that of the default route. */
  readonly interface: string | undefined
  readonly stateDirectory: string
  readonly runDirectory: string
  /** Where addresses are recorded, as in the plugin's `dataDir`. */
  readonly leases: string
  /** Where metrics are served, `127.0.0.1:9477`; undefined: nowhere. */
  readonly metrics: string | undefined
  /** How long a host may be silent before it is removed, in milliseconds. */
  readonly gracePeriod: number
  readonly checksumOffload: ChecksumWish
  /** UDP port of encrypted networks. */
  readonly wireguardPort: number
}

/** The keys of the file, and, behind `--`, the options: all texts. */
export const settingKeys = {
  'store': 'a directory, or the endpoints of etcd, separated by commas',
  'store-ca': 'file with the authorities of etcd\'s certificates',
  'store-cert': 'file with the client\'s certificate',
  'store-key': 'file with its key',
  'store-user': 'user of etcd',
  'store-password-file': 'file with the user\'s password',
  'host-id': 'name of this host in the cluster',
  'address': 'address of the tunnel\'s end',
  'interface': 'link of the underlay',
  'state-dir': 'what has to survive a reboot',
  'run-dir': 'socket and files for the plugin',
  'leases-dir': 'where addresses are recorded',
  'metrics': 'address and port for Prometheus, or off',
  'grace-period': 'seconds that a host may be silent before it is removed',
  'checksum-offload': 'auto, on or off: whether the network card computes checksums inside of tunnels',
  'wireguard-port': 'UDP port of encrypted networks on this host',
} as const
export type SettingKey = keyof typeof settingKeys
export type Wishes = Readonly<Partial<Record<SettingKey, string>>>

const standard = {
  'store': '/var/lib/cni/fairlead/overlay/store', 'state-dir': '/var/lib/cni/fairlead/overlay',
  'run-dir': defaultRunDirectory, 'leases-dir': '/var/lib/cni/networks', 'metrics': '127.0.0.1:9477',
  'wireguard-port': '51820',
} as const

const invalid = (message: string, advice = ''): OverlayError => new OverlayError('invalid', message, advice)

const textOf = (path: string, key: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalid(`${key} ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The wishes in a configuration file. @throws OverlayError `invalid` that names file and key */
export const readWishes = (path: string, isRequired: boolean): Wishes => {
  const text = readText(path)
  if (text === undefined && isRequired) throw invalid(`${path} does not exist`, 'name another with --config')
  let content: unknown
  try {
    content = JSON.parse(text ?? '{}')
  } catch (error) {
    throw invalid(`${path} is no JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (!isObject(content)) throw invalid(`${path} is no JSON object`)
  return Object.fromEntries(Object.entries(content).map(([key, value]) => {
    if (!Object.hasOwn(settingKeys, key))
      throw invalid(`${path}: unknown key ${JSON.stringify(key)}`, `known are ${Object.keys(settingKeys).join(', ')}`)
    if (typeof value !== 'string' && typeof value !== 'number')
      throw invalid(`${path}: ${key} ${JSON.stringify(value)} is no text`)
    return [key, `${value}`]
  }))
}

/** machine-id(5) should not be told to others as it is: it says so. */
const machineHost = (): string => {
  const id = (readText('/etc/machine-id') ?? '').trim()
  if (id === '') throw invalid('/etc/machine-id is empty', 'give the host a name: "host-id"')
  return sha256(`fairlead overlay ${id}`).slice(0, 16)
}

/** The store alone. @throws OverlayError `invalid` that names key and value */
export const storeOf = (wishes: Wishes): string | Access => {
  const { store = standard.store } = wishes
  if (store.startsWith('/')) return store
  const endpoints = store.split(',').map(text => text.trim())
  const wrong = endpoints.find(text => !/^https?:\/\/[^/]+\/?$/.test(text))
  if (wrong !== undefined) throw invalid(`store ${JSON.stringify(wrong)} is neither a directory nor an endpoint`,
    'write /var/lib/… or https://10.0.0.1:2379')
  const file = (key: SettingKey): string | undefined => wishes[key] && textOf(wishes[key], key)
  const tls = Object.fromEntries((['ca', 'cert', 'key'] as const)
    .map(name => [name, file(`store-${name}`)]).filter(([, text]) => text !== undefined))
  const { 'store-user': name, 'store-password-file': password } = wishes
  if ((name === undefined) !== (password === undefined))
    throw invalid('store-user and store-password-file go together')
  const user = name && { user: { name, password: textOf(password!, 'store-password-file').trim() } }
  return { endpoints, tls, ...user }
}

/** @throws OverlayError `invalid` that names key and value */
export const settingsOf = (wishes: Wishes): Settings => {
  const period = wishes['grace-period']
  const seconds = period === undefined ? HOST_GRACE_PERIOD / 1000 : Number(period)
  if (!(seconds >= 1)) throw invalid(`grace-period ${period} is no number of seconds`, '86400 is a day')
  const hostId = wishes['host-id'] ?? machineHost()
  if (!/^[A-Za-z0-9][\w.-]{0,62}$/.test(hostId))
    throw invalid(`host-id ${JSON.stringify(hostId)} is not letters and digits`)
  const metrics = wishes.metrics ?? standard.metrics
  if (metrics !== 'off' && !/:\d+$/.test(metrics))
    throw invalid(`metrics ${metrics} has no port`, '127.0.0.1:9477, or off')
  const { 'checksum-offload': wish = 'auto' } = wishes
  const checksumOffload = checksumWishes.find(known => known === wish)
  if (checksumOffload === undefined)
    throw invalid(`checksum-offload ${JSON.stringify(wish)} is not known`, checksumWishes.join(', '))
  const port = wishes['wireguard-port'] ?? standard['wireguard-port']
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535)
    throw invalid(`wireguard-port ${JSON.stringify(port)} is no UDP port`, 'a number from 1 to 65535')
  return {
    store: storeOf(wishes), hostId, hostName: hostname(), address: wishes.address, interface: wishes.interface,
    stateDirectory: wishes['state-dir'] ?? standard['state-dir'],
    runDirectory: wishes['run-dir'] ?? standard['run-dir'],
    leases: wishes['leases-dir'] ?? standard['leases-dir'],
    metrics: metrics === 'off' ? undefined : metrics,
    gracePeriod: 1000 * seconds, checksumOffload, wireguardPort: Number(port),
  }
}
