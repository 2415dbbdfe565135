// ptp: a veth pair between a container and its host, which routes for it; no bridge is in between.
import { checkInterface, expect, requirePrevious, verify } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { CniError } from '#cni/errors.ts'
import { describe, finish, requireFree } from '#cni/interface.ts'
import { wantedMac } from '#cni/mac.ts'
import { append } from '#cni/result.ts'
import { hostLinkName } from '#net/attachment.ts'
import { create } from '#net/creation.ts'
import { enableForwarding } from '#net/forwarding.ts'
import * as masquerade from '#net/masquerade.ts'
import { waitForCarrier } from '#net/ready.ts'
import { trySysctl } from '#net/sysctl.ts'
import { addVeth, collectLinks, isUnclaimedPair, removeVeth } from '#net/veth.ts'
import { familyOf } from '#netlink/ip.ts'
import { validate } from '#build/validators/ptp.js'
import { schema } from './config.ts'
import { refuseContradictions, requireKernel, withGateway } from './plan.ts'
import { checkPort, checkRouting, containerRoutes, routeHost } from '#cni/routed-pair.ts'

export const ptp = driver({
  name: 'ptp',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add(call) {
    const { config, args, attachment, ifName, cniVersion, host, pod, ipam, previous, undo } = call
    refuseContradictions(config, ipam.configured)
    if (!ipam.configured) requireExpressible(cniVersion, 'none')
    const mac = wantedMac(config, args)
    requireFree(pod, ifName)

    addVeth(host, pod, attachment, { mtu: config.mtu || undefined, mac }, undo)
    const port = host.link.get(hostLinkName(attachment))
    const link = pod.link.get(ifName)
    // The host asks for its neighbour by its link-local address, which must not be tentative then.
    if (ipam.configured) trySysctl(`ipv6/conf/${port.name}/accept_dad`, '0')

    const result = finish(call, link, withGateway, ({ ips }) => containerRoutes(ips, link))
    const addresses = result.ips.map(({ address }) => address)
    if (addresses.length > 0) routeHost(host, port, result.ips)
    if (config.ipMasq) {
      create(undo, 'masquerading', () => masquerade.remove(host, attachment, addresses), () =>
        masquerade.add(host, attachment, addresses, config.ipMasqBackend))
    }
    if (!waitForCarrier(host, port.name)) {
      throw new CniError('kernelRefused', `link ${port.name} does not come up`, 'see `ip link` and the kernel\'s log')
    }
    // Last, because it concerns the whole host: what fails before has not touched it.
    enableForwarding(host, attachment, new Set(addresses.map(familyOf)), undo)
    return append(previous, {
      ...result,
      interfaces: [describe(port), ...result.interfaces],
      ips: result.ips.map(ip => ({ ...ip, interface: 1 })),
    })
  },

  check({ config, attachment, ifName, host, pod, previous }) {
    const result = requirePrevious(previous)
    const link = checkInterface(pod, ifName, result)
    expect(`kind of ${ifName}`, link.info.kind, 'veth')
    const port = checkPort(host, pod, link)
    const own = result.ips.filter(ip => ip.interface === undefined || result.interfaces[ip.interface]?.name === ifName)
    checkRouting(host, port, pod, link, own)
    if (!config.ipMasq) return
    verify(() => masquerade.check(host, attachment, own.map(({ address }) => address), config.ipMasqBackend))
  },

  del({ config, attachment, ifName, host, pod, previous, attempt }) {
    const addresses = previous?.ips.map(({ address }) => address)
    attempt(() => {
      // A pair that the Go suite made has a name that cannot be derived; it is found by its end in the container.
      if (!removeVeth(host, attachment) && pod && isUnclaimedPair(host, pod, attachment)) pod.link.remove(ifName)
    })
    attempt(() => masquerade.remove(host, attachment, addresses, config.ipMasq))
  },

  status({ config, host, ipam }) {
    refuseContradictions(config, ipam.configured)
    requireKernel(config, host)
  },

  gc({ network, host, valid, attempt }) {
    attempt(() => collectLinks(host, network, valid))
    attempt(() => masquerade.collect(host, network, valid))
  },
})
