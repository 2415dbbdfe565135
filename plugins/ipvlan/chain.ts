// ipvlan behind other plugins: one of them may have prepared the parent, and got the addresses for what stands on it.
import { invalidConfig } from '#cni/errors.ts'
import { noResult, type Interface, type Result } from '#cni/result.ts'
import type { Namespace } from '#net/namespace.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Link } from '#netlink/route/link.ts'
import { tolerate } from '#sys/errno.ts'
import type { Config } from './plan.ts'

/** The links of a result that may be parents. @param pod path of the container's namespace */
const candidates = ({ interfaces }: Result, { linkInContainer }: Config, pod: string): readonly Interface[] =>
  interfaces.filter(({ name, sandbox }) => name && sandbox === (linkInContainer ? pod : undefined))

/**
 * The configuration with the parent that the plugins before this one have named, if it names none itself.
 * @throws CniError 7 unless they have named one and no other
 */
export const withParent = (config: Config, previous: Result | undefined, pod: string): Config => {
  if (config.master || config.internal || previous === undefined) return config
  const [only, ...others] = candidates(previous, config, pod)
  if (only && others.length === 0) return { ...config, master: only.name }
  const names = [only, ...others].flatMap(found => found?.name ?? []).join(', ') || 'none'
  throw invalidConfig(`which link of prevResult is the parent? It has ${names}`, 'name it under master')
}

/** Whether a link stands on one, or on the VLAN of one, that the result of the whole chain names. */
export const standsOnNamed = (link: Link, home: Namespace, config: Config, result: Result, pod: string): boolean => {
  const below = link.parent === undefined ? undefined : tolerate(['ENODEV'], () => home.link.at(link.parent!))
  const base = config.vlan > 0 ? below?.parent : below?.index
  return candidates(result, config, pod).some(({ name }) => base !== undefined && home.link.find(name)?.index === base)
}

/** A previous result in two parts: what the link is to have, and what stays with others. */
interface Parts { readonly own: Result; readonly rest: Result }

/** Parts the addresses that no container's interface has, with the routes and settings for them, from all else. */
export const parted = (previous: Result = noResult): Parts => {
  const { interfaces, ips, routes, dns } = previous
  const isFree = ({ interface: at }: Result['ips'][number]): boolean =>
    at === undefined || interfaces[at]?.sandbox === undefined
  const free = ips.filter(isFree)
  const families = free.map(({ address }) => familyOf(address))
  const belongs = ({ dst }: Result['routes'][number]): boolean => families.includes(familyOf(dst))
  return {
    own: { interfaces: [], ips: free, routes: routes.filter(belongs), dns },
    rest: { ...previous, ips: ips.filter(ip => !isFree(ip)), routes: routes.filter(route => !belongs(route)) },
  }
}
