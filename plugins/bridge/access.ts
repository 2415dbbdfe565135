// Who reaches the network's containers, and what their own packets carry as their source: what a configuration says.
import { invalidConfig } from '#cni/errors.ts'
import type { Access } from '#net/gateway-mode.ts'
import { familyOf, parseIp, type Family } from '#netlink/ip.ts'
import type { Config } from './plan.ts'

const families = ['ipv4', 'ipv6'] as const

const isNat = (mode: string | undefined): boolean => mode === 'nat' || mode === 'nat-unprotected'

/** Who reaches the bridge through the host, undefined when everybody does. */
export const accessOf = (
  { gatewayMode: modes = {}, icc = true, trustedInterfaces: trusted = [] }: Partial<Config>,
): Access | undefined => icc && !modes.ipv4 && !modes.ipv6 ? undefined : { modes, icc, trusted }

/** Whether addresses of a family are hidden behind the host's. */
export const isMasqueraded = ({ ipMasq, gatewayMode }: Partial<Config>, family: Family): boolean => {
  const mode = gatewayMode?.[family]
  return mode === undefined ? ipMasq === true : isNat(mode) && ipMasq !== false
}

/** Those of the addresses that are hidden behind the host's. */
export const masqueraded = (config: Partial<Config>, addresses: readonly string[]): readonly string[] =>
  addresses.filter(address => isMasqueraded(config, familyOf(address)))

/** Whether the host has an address for containers of this family. */
export const hasGateway = ({ gatewayMode }: Partial<Config>, family: Family): boolean =>
  gatewayMode?.[family] !== 'isolated'

/** Refuses combinations of keys that cannot mean anything. @throws CniError 7 */
export const refuseContradictoryAccess = (config: Config): void => {
  const { gatewayMode = {}, internal, snat = {}, trustedInterfaces = [], ipMasqBackend } = config
  for (const family of families) {
    const mode = gatewayMode[family]
    if (mode === 'isolated' && !internal) {
      throw invalidConfig(`gatewayMode.${family} isolated needs internal true`, 'set it, or choose another mode')
    }
    if (mode !== undefined && mode !== 'isolated' && internal) {
      throw invalidConfig(
        `gatewayMode.${family} ${mode} and internal true exclude each other`,
        'nothing is routed to an internal network',
      )
    }
    const source = snat[family]
    if (source === undefined) continue
    if (parseIp(source) === undefined || familyOf(source) !== family) {
      throw invalidConfig(`snat.${family} ${JSON.stringify(source)} is no ${family} address`, 'name one of the host')
    }
    if (!isMasqueraded(config, family)) {
      throw invalidConfig(`snat.${family} ${source} needs ipMasq true or gatewayMode.${family} nat`, 'set one of them')
    }
    if (ipMasqBackend === 'iptables') {
      throw invalidConfig(`snat.${family} ${source} and ipMasqBackend iptables exclude each other`, 'choose nftables')
    }
  }
  if (trustedInterfaces.length > 0 && !families.some(family => gatewayMode[family] === 'nat')) {
    throw invalidConfig(
      `trustedInterfaces ${JSON.stringify(trustedInterfaces)} needs gatewayMode nat`,
      'other modes trust all links alike',
    )
  }
}
