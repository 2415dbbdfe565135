// What a configuration asks of the ptp plugin, decided before anything is touched.
import { CniError, invalidConfig } from '#cni/errors.ts'
import { parsedAddress, withGateways } from '#cni/gateways.ts'
import { refuseMtu } from '#cni/interface.ts'
import { lackingInKernel, requireKinds } from '#cni/kernel.ts'
import type { IpConfig, Result } from '#cni/result.ts'
import type { FromSchema } from '#cni/schema.ts'
import type { Namespace } from '#net/namespace.ts'
import { familyOf } from '#netlink/ip.ts'
import { isAvailable as hasNftables } from '#netlink/nftables/query.ts'
import type { schema } from './config.ts'
import { alone } from '#cni/routed-pair.ts'

export type Config = FromSchema<typeof schema>

/** Refuses combinations of keys that cannot mean anything. @throws CniError 7 */
export const refuseContradictions = ({ internal, ipMasq, mtu }: Config, layer3: boolean): void => {
  if (internal) {
    throw invalidConfig('internal true: ptp has no internal networks', 'use the bridge plugin, which has')
  }
  if (ipMasq && !layer3) throw invalidConfig('ipMasq true needs ipam', 'without addresses there are none to hide')
  refuseMtu(mtu)
}

/** For STATUS: what ADD would find missing in this kernel. @throws CniError 50 */
export const requireKernel = ({ ipMasq, ipMasqBackend }: Config, host: Namespace): void => {
  requireKinds(host, 'veth')
  if (ipMasq && ipMasqBackend === 'nftables' && !hasNftables(host.netfilter)) throw lackingInKernel('nftables')
}

const unusable = (message: string): CniError =>
  new CniError(
    'delegateFailed',
    `the IPAM plugin returned ${message}`,
    'name a gateway: an address of the same family that is not the container\'s, such as 169.254.1.1 or fe80::1',
  )

/** Whether an address is a subnet by itself, which has no first address for the gateway. */
const isAlone = ({ address }: IpConfig): boolean => {
  const { bytes, length } = parsedAddress(address)
  return length === 8 * bytes.length
}

/**
 * What is planned, with a gateway for every address: the first address of its subnet where IPAM names none.
 * @throws CniError 105 when that is no gateway
 */
export const withGateway = (plan: Result): Result => {
  const lonely = plan.ips.find(ip => ip.gateway === undefined && isAlone(ip))
  if (lonely) throw unusable(`${lonely.address} without a gateway`)
  const ips = withGateways(plan.ips)
  const wrong = ips.find(({ address, gateway }) =>
    familyOf(address) !== familyOf(gateway) || alone(address) === alone(gateway))
  if (wrong) throw unusable(`${wrong.address} with the gateway ${wrong.gateway}`)
  return { ...plan, ips }
}
