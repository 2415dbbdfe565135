// Where what is kept: the keys of a cluster in its store. Addresses are in hexadecimal digits, so that keys sort as
// addresses do.
import { formatPrefix, networkOf, parsePrefix } from '#net/prefix.ts'
import { formatIp, parseIp } from '#netlink/ip.ts'

/** All of it. */
export const root = '/fairlead/v1/'

/** Which cluster this is: its id. */
export const clusterKey = `${root}cluster`

/** Holds the cluster's id once nobody comes back with older claims than the store knows of. */
export const settledKey = `${root}settled`

/** Who removes hosts that are gone. */
export const janitorKey = `${root}janitor`

/** Written with every network that is made, because two with the same addresses are kept apart by no key. */
export const networksKey = `${root}networks`

const folder = (name: string) => {
  const prefix = `${root}${name}/`
  return {
    prefix,
    key: (id: string): string => prefix + id,
    id: (key: string): string | undefined => key.startsWith(prefix) ? key.slice(prefix.length) : undefined,
  }
}

/** What other hosts need to reach a host. It stays when the host is silent. */
export const hosts = folder('hosts')
/** Disappears with the lease of an agent that is silent. */
export const alive = folder('alive')
/** Since when a host is silent. */
export const missing = folder('missing')
export const nets = folder('nets')

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** What a network can be called: the same as in CNI, and the name of a file. */
export const isNetworkName = (text: unknown): text is string =>
  typeof text === 'string' && /^[A-Za-z0-9][\w.-]*$/.test(text)

export const networkKey = (network: string): string => nets.key(`${network}/config`)

export const vniKey = (vni: number): string => `${root}vnis/${vni.toString(16).padStart(6, '0')}`

export const blocksPrefix = (network: string): string => nets.key(`${network}/blocks/`)

/** @param block `10.1.2.0/24` */
export const blockKey = (network: string, block: string): string => {
  const prefix = parsePrefix(block)!
  return `${blocksPrefix(network)}${hex(networkOf(prefix))}-${prefix.length}`
}

export const staticsPrefix = (network: string): string => nets.key(`${network}/static/`)

export const staticKey = (network: string, ip: string): string => staticsPrefix(network) + hex(parseIp(ip)!)

/** Whether a block, as a value names it, is that of a key. */
export const isKeyOfBlock = (key: string, network: string, block: unknown): block is string => {
  const prefix = typeof block === 'string' ? parsePrefix(block) : undefined
  if (prefix === undefined) return false
  // What is read as IPv4 has but one text.
  const isCanonical = prefix.family === 'ipv4' || formatPrefix(prefix) === block
  const first = networkOf(prefix)
  return isCanonical && prefix.bytes.every((byte, i) => byte === first[i]) &&
    key === `${blocksPrefix(network)}${hex(first)}-${prefix.length}`
}

/** Whether an address, as a value names it, is that of a key. */
export const isKeyOfStatic = (key: string, network: string, ip: unknown): ip is string => {
  const bytes = typeof ip === 'string' ? parseIp(ip) : undefined
  return bytes !== undefined && formatIp(bytes) === ip && staticKey(network, ip) === key
}

/** What a key below `nets/` is about; undefined for what a later version may keep there. */
export const readNetKey = (
  key: string,
): { readonly network: string; readonly part: 'config' | 'blocks' | 'static'; readonly rest: string } | undefined => {
  const [network = '', part = '', ...rest] = nets.id(key)?.split('/') ?? []
  const known = part === 'config' || part === 'blocks' || part === 'static'
  return known && isNetworkName(network) ? { network, part, rest: rest.join('/') } : undefined
}
