// Which hardware address an attachment is to have.
import { formatMac, parseMac } from '#netlink/mac.ts'
import { invalidConfig } from './errors.ts'

interface MacSources {
  readonly mac?: string | undefined
  readonly runtimeConfig?: { readonly mac?: string | undefined } | undefined
  readonly args?: { readonly cni?: { readonly mac?: string | undefined } | undefined } | undefined
}

const MULTICAST = 1

/**
 * The wanted address in canonical text, undefined when nobody asks for one. Precedence as everywhere: runtimeConfig,
 * args.cni, CNI_ARGS, configuration.
 * @throws CniError 7 when it is no unicast Ethernet address
 */
export const wantedMac = (config: MacSources, args: ReadonlyMap<string, string>): string | undefined => {
  const [key, value] = ([
    ['runtimeConfig.mac', config.runtimeConfig?.mac],
    ['args.cni.mac', config.args?.cni?.mac],
    ['CNI_ARGS MAC', args.get('MAC')],
    ['mac', config.mac],
  ] as const).find(([, source]) => source) ?? []
  if (key === undefined || value === undefined) return undefined
  const bytes = parseMac(value)
  if (bytes?.length !== 6 || bytes[0]! & MULTICAST) {
    throw invalidConfig(
      `${key} ${JSON.stringify(value)} is no unicast Ethernet address`,
      'write six pairs of hexadecimal digits, such as 02:00:0a:01:02:03',
    )
  }
  return formatMac(bytes)
}
