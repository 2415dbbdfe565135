// Routes that an IPAM plugin is configured with: SPEC.md, section 5, "routes".
import { parsePrefix, subnetOf } from '#net/prefix.ts'
import { familyOf, formatIp, parseIp } from '#netlink/ip.ts'
import { invalidConfig } from './errors.ts'
import type { Route } from './result.ts'

/**
 * `ipam.routes` in canonical text. Host bits of an IPv6 destination are dropped, as the kernel does and the reference's
 * manual shows; of an IPv4 one they are a mistake to the kernel, too.
 * @throws CniError 7 that names the key and its value
 */
export const readRoutes = (routes: readonly Route[]): Route[] => routes.map(({ dst, gw, ...rest }, i) => {
  const prefix = parsePrefix(dst)
  if (!prefix) throw invalidConfig(`ipam.routes[${i}].dst "${dst}" is no prefix`, 'write 10.2.0.0/16 or ::/0')
  const subnet = subnetOf(prefix)
  if (prefix.family === 'ipv4' && subnet !== dst) {
    throw invalidConfig(`ipam.routes[${i}].dst "${dst}" has host bits`, `is ${subnet} meant?`)
  }
  if (gw === undefined) return { ...rest, dst: subnet }
  const hop = parseIp(gw)
  if (!hop) throw invalidConfig(`ipam.routes[${i}].gw "${gw}" is no IP address`, 'write 10.1.2.1 or fd00::1')
  if (familyOf(gw) !== prefix.family) {
    throw invalidConfig(`ipam.routes[${i}].gw ${gw} is of another family than ${dst}`, 'give each family its own route')
  }
  return { ...rest, dst: subnet, gw: formatIp(hop) }
})
