// Which hardware address an attachment is to have.
import { formatMac, parseMac } from '#netlink/mac.ts'
import { invalidConfig } from './errors.ts'

interface MacSources {
  readonly mac?: string | undefined
  readonly runtimeConfig?: { readonly mac?: string | undefined } | undefined
  readonly args?: { readonly cni?: { readonly mac?: string | undefined } | undefined } | undefined
}

const MULTICAST = 1

/** An address as it was asked for, and under which key. */
interface AskedMac { readonly key: string; readonly value: string }

/** What goes before the rest: runtimeConfig, args.cni, CNI_ARGS, configuration. Undefined when nobody asks. */
export const askedMac = (config: MacSources, args: ReadonlyMap<string, string>): AskedMac | undefined => {
  const sources = [
    ['runtimeConfig.mac', config.runtimeConfig?.mac],
    ['args.cni.mac', config.args?.cni?.mac],
    ['CNI_ARGS MAC', args.get('MAC')],
    ['mac', config.mac],
  ] as const
  for (const [key, value] of sources) if (value) return { key, value }
  return undefined
}

/**
 * The wanted address in canonical text, undefined when nobody asks for one.
 * @throws CniError 7 when it is no unicast Ethernet address
 */
export const wantedMac = (
  config: MacSources, args: ReadonlyMap<string, string> = new Map(),
): string | undefined => {
  const asked = askedMac(config, args)
  if (asked === undefined) return undefined
  const { key, value } = asked
  const bytes = parseMac(value)
  if (bytes?.length !== 6 || bytes[0]! & MULTICAST) {
    throw invalidConfig(
      `${key} ${JSON.stringify(value)} is no unicast Ethernet address`,
      'write six pairs of hexadecimal digits, such as 02:00:0a:01:02:03',
    )
  }
  return formatMac(bytes)
}
