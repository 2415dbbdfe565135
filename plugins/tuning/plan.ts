// What is to be set on an attachment, decided before anything is touched.
import { invalidConfig, type CniError } from '#cni/errors.ts'
import { duplicateKey } from '#cni/json.ts'
import { wantedMac } from '#cni/mac.ts'
import { readText } from '#sys/file.ts'
import type { Config } from './config.ts'

/** What can be set on a link; what is absent is left. */
export interface LinkSettings {
  readonly mac?: string | undefined
  readonly mtu?: number | undefined
  readonly promisc?: boolean | undefined
  readonly allmulti?: boolean | undefined
  readonly txQLen?: number | undefined
}

/** One setting of the kernel: as it was written, and its file below /proc/sys/net. */
export interface Sysctl { readonly key: string; readonly name: string; readonly value: string }

export interface Plan { readonly link: LinkSettings; readonly sysctls: readonly Sysctl[] }

const ALLOWED = '/etc/cni/tuning/allowlist.conf'

/**
 * The name of a setting below /proc/sys/net. Every dot parts it, and IFNAME, once, becomes the interface, whose name
 * may have dots itself.
 * @throws CniError 7 when it leads out of /proc/sys/net
 */
const nameOf = (key: string, ifName: string): string => {
  const parts = key.replaceAll('.', '/').split('/').filter(part => part !== '')
  // Dots have become slashes, so neither `.` nor `..` can be among them; other settings are the host's.
  if (parts[0] !== 'net' || parts.length < 2) {
    throw invalidConfig(`sysctl ${JSON.stringify(key)} is not below net`, 'only settings of a network namespace')
  }
  return parts.slice(1).join('/').replace('IFNAME', () => ifName)
}

/** The expressions of the administrator's list, one per line; undefined when there is no list. */
const allowed = (): readonly RegExp[] | undefined =>
  readText(ALLOWED)?.split('\n').map(line => line.trim()).filter(line => line !== '').map(line => {
    try {
      return new RegExp(line)
    } catch {
      throw invalidConfig(`${ALLOWED} has ${JSON.stringify(line)}, which is no regular expression`, 'correct that line')
    }
  })

/** For ADD: refuses settings that this host does not allow. @throws CniError 7 */
export const requireAllowed = ({ sysctls }: Plan): void => {
  const patterns = sysctls.length > 0 ? allowed() : undefined
  const forbidden = patterns && sysctls.find(({ key }) => !patterns.some(pattern => pattern.test(key)))
  if (!forbidden) return
  throw invalidConfig(`sysctl ${JSON.stringify(forbidden.key)} is not allowed on this host`, `add it to ${ALLOWED}`)
}

const twice = (key: string): CniError =>
  invalidConfig(`sysctl ${JSON.stringify(key)} is there twice`, 'leave one of them: which would count is open')

/** Two spellings of one setting, such as `net.ipv4` and `net/ipv4`. @throws CniError 7 */
const refuseTwice = (sysctls: readonly Sysctl[]): void => {
  const second = sysctls.find(({ name }, at) => sysctls.findIndex(other => other.name === name) !== at)
  if (second) throw twice(second.key)
}

const readSysctls = (settings: object, ifName: string): readonly Sysctl[] =>
  Object.entries(settings).map(([key, value]: [string, unknown]) => {
    if (typeof value !== 'string') {
      throw invalidConfig(`sysctl ${JSON.stringify(key)} is ${JSON.stringify(value)}`, 'write values as strings')
    }
    return { key, name: nameOf(key, ifName), value }
  })

/**
 * What a configuration asks for. Of each datum counts runtimeConfig, args.cni, CNI_ARGS, configuration, in this order;
 * settings of args.cni join those of the configuration.
 * @param text the configuration as it was sent, where a key may be there twice
 * @throws CniError 7 that names the key
 */
export const planOf = (config: Config, args: ReadonlyMap<string, string>, text: Uint8Array, ifName: string): Plan => {
  const repeated = duplicateKey(text, 'sysctl')
  if (repeated !== undefined) throw twice(repeated)
  const asked = config.args?.cni ?? {}
  const own = readSysctls(config.sysctl ?? {}, ifName)
  const added = readSysctls(asked.sysctl ?? {}, ifName)
  refuseTwice(own)
  refuseTwice(added)
  const sysctls = [...own.filter(({ name }) => !added.some(other => other.name === name)), ...added]
  return {
    sysctls,
    link: {
      mac: wantedMac(config, args),
      mtu: (asked.mtu ?? config.mtu) || undefined,
      promisc: asked.promisc ?? config.promisc,
      allmulti: asked.allmulti ?? config.allmulti,
      txQLen: asked.txQLen ?? config.txQLen,
    },
  }
}
