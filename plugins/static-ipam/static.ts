// static: the addresses that the configuration or the attachment names. It keeps no state: nobody else is asked, and
// nothing has to be given back. https://www.cni.dev/plugins/current/ipam/static/
import { broken, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { invalidConfig } from '#cni/errors.ts'
import { noResult, type Dns, type Result } from '#cni/result.ts'
import { readRoutes } from '#cni/routes.ts'
import { canonicalPrefix } from '#net/prefix.ts'
import { formatIp, parseIp } from '#netlink/ip.ts'
import { validate } from '#build/validators/static-ipam.js'
import { addressesFor, requestedGateways } from './addresses.ts'
import { schema, type Config } from './config.ts'

/** An address may name its link, as `fe80::1%eth0`: resolv.conf(5). */
const readDns = (dns: Dns = {}): Dns => {
  for (const [i, server] of (dns.nameservers ?? []).entries()) {
    if (parseIp(server.replace(/%.+$/, ''))) continue
    throw invalidConfig(`ipam.dns.nameservers[${i}] "${server}" is no IP address`, 'resolv.conf(5) takes no names')
  }
  return dns
}

const handOut = (config: Config, args: ReadonlyMap<string, string>): Result => ({
  ...noResult,
  ips: addressesFor(config, args),
  routes: readRoutes(config.ipam.routes ?? []),
  dns: readDns(config.ipam.dns),
})

const isSameIp = (text: string | undefined, canonical: string): boolean => {
  const bytes = parseIp(text ?? '')
  return bytes !== undefined && formatIp(bytes) === canonical
}

export const staticIpam = driver({
  name: 'static',
  kind: 'ipam',
  schema,
  validate,
  args: ['IP', 'GATEWAY'],

  add({ config, cniVersion, args, warn }) {
    const result = handOut(config, args)
    const { ips } = result
    requireExpressible(cniVersion, ips.length > 0 ? ips : 'none')
    // As the reference: some plugins ask IPAM for routes and dns only.
    if (ips.length === 0) warn('static: no address: ipam.addresses is empty, and the attachment asks for none')
    for (const gateway of requestedGateways(args)) {
      if (ips.some(ip => ip.gateway === gateway)) continue
      warn(`static: CNI_ARGS GATEWAY ${gateway} is ignored: it is in the subnet of no address that needs one`)
    }
    return result
  },

  // Whether the interface has what the result says is for the plugin that made it to find out: an IPAM plugin needs no
  // namespace, and a later plugin of the chain may have moved the addresses.
  check({ config, args, previous }) {
    const { ips } = requirePrevious(previous)
    for (const { address, gateway } of handOut(config, args).ips) {
      const found = ips.filter(ip => canonicalPrefix(ip.address) === address)
      if (found.length === 0) throw broken(`prevResult lacks ${address}, which this configuration hands out`)
      if (gateway === undefined || found.some(ip => isSameIp(ip.gateway, gateway))) continue
      throw broken(`gateway of ${address} in prevResult is ${found[0]!.gateway ?? 'missing'}, expected ${gateway}`)
    }
  },

  del() {},
  status({ config }) { handOut(config, new Map()) },
  gc() {},
})
