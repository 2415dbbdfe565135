// Addresses that an attachment asks an IPAM plugin for: CONVENTIONS.md of CNI, `ips` and CNI_ARGS.

/** One address as it was written, and where. */
export interface RequestedIp {
  /** For messages: `runtimeConfig.ips`. */
  readonly key: string
  readonly text: string
}

interface IpSources {
  readonly runtimeConfig?: { readonly ips?: readonly string[] | undefined } | undefined
  readonly args?: { readonly cni?: { readonly ips?: readonly string[] | undefined } | undefined } | undefined
}

/** The items of a list in CNI_ARGS, `10.1.2.3/24,fd00::3/64`. */
export const listed = (value: string | undefined): readonly string[] =>
  (value ?? '').split(',').map(text => text.trim()).filter(text => text !== '')

/**
 * The addresses of the first source that names any, in its order; the others do not count. Precedence as everywhere:
 * runtimeConfig, args.cni, CNI_ARGS.
 * @param cniArgs the values of CNI_ARGS
 */
export const requestedIps = (config: IpSources, cniArgs: ReadonlyMap<string, string>): readonly RequestedIp[] => {
  const sources: readonly (readonly [string, readonly string[]])[] = [
    ['runtimeConfig.ips', config.runtimeConfig?.ips ?? []],
    ['args.cni.ips', config.args?.cni?.ips ?? []],
    ['CNI_ARGS IP', listed(cniArgs.get('IP'))],
  ]
  for (const [key, texts] of sources) {
    const filled = texts.map(text => text.trim()).filter(text => text !== '')
    if (filled.length > 0) return filled.map(text => ({ key, text }))
  }
  return []
}
