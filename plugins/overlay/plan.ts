// What a configuration asks of the overlay plugin, and the routes that follow from it.
import type { OverlayRun } from '#cni/cluster/run-file.ts'
import { invalidConfig } from '#cni/errors.ts'
import { defaultRoutes } from '#cni/gateways.ts'
import { refuseMtu } from '#cni/interface.ts'
import { lookUp, type Json } from '#cni/json.ts'
import type { IpConfig, Result } from '#cni/result.ts'
import type { Namespace } from '#net/namespace.ts'
import { familyOf, type Family } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import { RT_TABLE_MAIN, type Route } from '#netlink/route/route.ts'
import type { Config } from './part.ts'

/** Refuses combinations of keys that cannot mean anything. @throws CniError 7 */
export const refuseContradictions = (config: Config, raw: Json): void => {
  const { ipMasq, internal, ranges, mtu, runDir, dataDir, encryption, port } = config
  if (lookUp(raw, 'ipam') !== undefined && lookUp(raw, 'ipam') !== null)
    throw invalidConfig('ipam: an overlay hands out its addresses itself', 'remove the key; see `ranges`')
  if (ipMasq && internal) throw invalidConfig('ipMasq true with internal true', 'nothing leaves an internal network')
  if (encryption === 'wireguard' && port !== undefined)
    throw invalidConfig(`port ${port} with encryption wireguard`, 'leave it out: it is the agent\'s wireguard-port')
  if (ranges?.length === 0) throw invalidConfig('ranges is empty', 'name a subnet or leave the key out')
  for (const [key, value] of Object.entries({ runDir, dataDir }))
    if (!value.startsWith('/')) throw invalidConfig(`${key} ${JSON.stringify(value)} is no absolute path`)
  refuseMtu(mtu)
}

/** The MTU of a container's interface. @throws CniError 7 when it is more than what fits through the overlay */
export const mtuOf = ({ mtu }: Config, run: OverlayRun): number => {
  if (mtu <= run.mtu) return mtu || run.mtu
  throw invalidConfig(`mtu ${mtu}: packets of ${run.mtu} bytes fit through network ${run.network}`,
    'leave it out, or raise the MTU of the underlay')
}

/** The families of which a container has a default route by another link. */
const routedElsewhere = (pod: Namespace, link: Link): ReadonlySet<Family> => {
  // Most containers have no other link: then there is nothing to list.
  if (!pod.link.list().some(({ index, loopback, up }) => up && !loopback && index !== link.index)) return new Set()
  const isDefault = ({ dst, table = RT_TABLE_MAIN }: Route): boolean => dst.endsWith('/0') && table === RT_TABLE_MAIN
  return new Set(pod.route.list().filter(isDefault).map(({ dst }) => familyOf(dst)))
}

/**
 * The result with a default route for each family that the container has none of. The first network of a container
 * keeps it, as the first attachment is usually meant to.
 */
export const withDefaultRoutes = (
  pod: Namespace, link: Link, { isDefaultGateway }: Config, { internal }: OverlayRun, leased: Result,
): Result => {
  if (internal || !isDefaultGateway) return leased
  const has = routedElsewhere(pod, link)
  const missing = defaultRoutes(leased).filter(({ dst }) => !has.has(familyOf(dst)))
  return { ...leased, routes: [...leased.routes, ...missing] }
}

const IPV6_METRIC = 1024 // IP6_RT_PRIO_USER of include/uapi/linux/ipv6_route.h

/** The ways to the other hosts' containers, by the same link whatever other networks the container has. */
export const networkRoutes = ({ ranges, addressing }: OverlayRun, ips: readonly IpConfig[], { index: dev }: Link) =>
  addressing === 'flat' ? [] : ranges.flatMap(({ subnet: dst }): Route[] => {
    const family = familyOf(dst)
    const { gateway: via, address } = ips.find(ip => familyOf(ip.address) === family) ?? {}
    const isIpv4 = family === 'ipv4'
    if (via === undefined || address === undefined) return []
    const src = isIpv4 ? address.split('/')[0] : undefined
    return [{ dst, via, dev, priority: (isIpv4 ? 0 : IPV6_METRIC) + dev, src }]
  })
