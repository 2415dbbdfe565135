// bridge: attaches a container to a bridge on its host by a veth pair, as Docker's driver of that name.
import { broken, checkInterface, expect, requirePrevious, verify } from '#cni/check.ts'
import { configure } from '#cni/configure.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { CniError } from '#cni/errors.ts'
import { defaultRoutes, withGateways } from '#cni/gateways.ts'
import { describe, planned, refuseDuplicates, refuseSmallMtu, requireFree } from '#cni/interface.ts'
import { wantedMac } from '#cni/mac.ts'
import { append, type Result } from '#cni/result.ts'
import { hostLinkName, networkLabel } from '#net/attachment.ts'
import { ignoreLinkLocalSources, removeIfUnused } from '#net/bridge.ts'
import * as gatewayMode from '#net/gateway-mode.ts'
import * as internal from '#net/internal.ts'
import * as masquerade from '#net/masquerade.ts'
import { create } from '#net/creation.ts'
import { enableForwarding } from '#net/forwarding.ts'
import { whileHostIsLocked } from '#net/host-lock.ts'
import type { Namespace } from '#net/namespace.ts'
import { waitForCarrier } from '#net/ready.ts'
import * as spoof from '#net/spoof.ts'
import { collectLinks, isUnclaimedPair, removeVeth } from '#net/veth.ts'
import { familyOf } from '#netlink/ip.ts'
import { parseMac } from '#netlink/mac.ts'
import { validate } from '#build/validators/bridge.js'
import { accessOf, hasGateway, masqueraded } from './access.ts'
import { schema } from './config.ts'
import { addGatewayAddresses, gatewayAddresses } from './gateway.ts'
import {
  isGateway, refuseContradictions, refuseUnsupported, requireKernel, routedLink, type Config,
} from './plan.ts'
import { checkPort, join, MAX_PORTS, noFreePort } from './port.ts'

/** What is planned, with the bridge as the gateway if it is to be one. */
const withGateway = (config: Config, plan: Result): Result => {
  if (!isGateway(config)) return plan
  const ips = withGateways(plan.ips).map(ip =>
    hasGateway(config, familyOf(ip.address)) ? ip : { ...ip, gateway: undefined })
  const routes = config.isDefaultGateway ? [...plan.routes, ...defaultRoutes({ ...plan, ips })] : plan.routes
  return { ...plan, ips, routes }
}

export const bridge = driver({
  name: 'bridge',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add({ config, args, attachment, ifName, cniVersion, host, pod, ipam, previous, undo }) {
    refuseContradictions(config, ipam.configured)
    refuseUnsupported(config, host)
    if (!ipam.configured) requireExpressible(cniVersion, 'none')
    const mac = wantedMac(config, args)
    requireFree(pod, ifName)

    const { master, gateway, port, isShared, guard } = whileHostIsLocked('shared', () =>
      join({ ...config, mac }, host, pod, attachment, ipam.configured, undo))
    const link = pod.link.get(ifName)

    if (config.macspoofchk) {
      ignoreLinkLocalSources(host, master)
      create(undo, 'source address check', () => spoof.remove(host, attachment), () =>
        spoof.add(host, attachment, link.address!))
    }

    const leased = ipam.add()
    undo('address lease', () => ipam.del())
    const result = withGateway(config, planned(config, leased))
    requireExpressible(cniVersion, leased ? result.ips : 'none')
    refuseSmallMtu(config.mtu, result)
    const interfaces = [describe(master), describe(port), describe(link, pod.path)]
    const own = interfaces.length - 1

    const families = new Set(result.ips.map(({ address }) => familyOf(address)))

    if (leased) {
      configure(pod, link, result, config.enabledad)
      if (isGateway(config)) {
        if (gateway !== master) interfaces.push(describe(gateway))
        addGatewayAddresses(host, gateway, gatewayAddresses(result.ips), config.forceAddress, isShared, undo)
      }
      const hidden = masqueraded(config, result.ips.map(({ address }) => address))
      if (hidden.length > 0) {
        create(undo, 'masquerading', () => masquerade.remove(host, attachment, hidden), () =>
          masquerade.add(host, attachment, hidden, config.ipMasqBackend, config.snat))
      }
      refuseDuplicates(pod, link, result)
    } else if (!config.disableContainerInterface) {
      pod.link.set(link.index, { up: true })
    }
    if (!config.disableContainerInterface && !waitForCarrier(host, port.name)) {
      throw new CniError(
        'kernelRefused',
        `port ${port.name} of ${config.bridge} does not come up`,
        'see `bridge link` and the kernel\'s log',
      )
    }
    // Last, because it concerns the whole host: what fails before has not touched it.
    if (isGateway(config) && !config.internal) enableForwarding(host, attachment, families, undo)
    whileHostIsLocked('shared', guard)
    return append(previous, { ...result, interfaces, ips: result.ips.map(ip => ({ ...ip, interface: own })) })
  },

  check({ config, attachment, ifName, host, pod, ipam, previous }) {
    const result = requirePrevious(previous)
    const master = host.link.find(config.bridge)
    if (master === undefined) throw broken(`bridge ${config.bridge} is missing`)
    expect(`kind of ${config.bridge}`, master.info.kind, 'bridge')
    expect(`state of ${config.bridge}`, master.up ? 'up' : 'down', 'up')
    if (config.promiscMode) expect(`promiscuous mode of ${config.bridge}`, master.promisc, true)

    const link = config.disableContainerInterface ? pod.link.get(ifName) : checkInterface(pod, ifName, result)
    expect(`kind of ${ifName}`, link.info.kind, 'veth')
    const port = checkPort(host, pod, link, master, config)
    if (config.internal) verify(() => internal.check(host, routedLink(config)))
    const access = accessOf(config)
    if (access) verify(() => gatewayMode.check(host, routedLink(config), access))
    if (config.macspoofchk && port.name === hostLinkName(attachment)) {
      verify(() => spoof.check(host, attachment, link.address!))
    }
    if (!ipam.configured) return

    const own = result.ips.filter(ip => ip.interface === undefined || result.interfaces[ip.interface]?.name === ifName)
    if (isGateway(config)) checkGateway(host, routedLink(config), gatewayAddresses(own))
    const hidden = masqueraded(config, own.map(({ address }) => address))
    if (hidden.length > 0) {
      verify(() => masquerade.check(host, attachment, hidden, config.ipMasqBackend, config.snat))
    }
  },

  del({ config, attachment, ifName, host, pod, previous, attempt }) {
    // A result without addresses, of a network that has some, says nothing about them.
    const known = previous && (previous.ips.length > 0 || config.ipam?.type === undefined)
    const addresses = known ? previous.ips.map(({ address }) => address) : undefined
    const stated = previous?.interfaces.find(({ name, sandbox }) => name === ifName && sandbox)?.mac
    const mac = stated && parseMac(stated) ? stated : undefined
    attempt(() => {
      // A pair that the Go suite made has a name that cannot be derived; it is found by its end in the container.
      if (!removeVeth(host, attachment) && pod && isUnclaimedPair(host, pod, attachment)) pod.link.remove(ifName)
    })
    attempt(() =>
      masquerade.remove(host, attachment, addresses, masqueraded(config, addresses ?? []).length > 0))
    attempt(() => spoof.remove(host, attachment, mac))
  },

  status({ config, host }) {
    refuseContradictions(config, config.ipam?.type !== undefined)
    refuseUnsupported(config, host)
    requireKernel(config, host)
    const master = host.link.find(config.bridge)
    if (master === undefined) return
    if (master.info.kind !== 'bridge') {
      throw new CniError(
        'notAvailable',
        `bridge ${JSON.stringify(config.bridge)} is a ${master.info.kind || 'hardware'} link`,
        'choose another name',
      )
    }
    const ports = host.link.list({ master: master.index }).length
    if (ports >= MAX_PORTS) throw noFreePort(config.bridge)
  },

  gc({ config, network, host, valid, attempt }) {
    const prefix = networkLabel(network)
    attempt(() => collectLinks(host, network, valid))
    attempt(() => masquerade.collect(host, network, valid))
    attempt(() => spoof.collect(host, network, valid))
    const name = config.bridge
    if (valid.length > 0 || name === undefined || host.link.find(name)?.alias !== prefix) return
    // Nothing of the network lives, and the bridge is one that we made for it.
    const guarded = new Set([name, routedLink({ bridge: name, vlan: config.vlan ?? 0 })])
    attempt(() => removeIfUnused(host, name, () => {
      for (const link of guarded) {
        internal.remove(host, link)
        gatewayMode.remove(host, link)
      }
    }))
  },
})

const checkGateway = (host: Namespace, name: string, wanted: readonly string[]): void => {
  const link = host.link.find(name)
  if (link === undefined) throw broken(`gateway link ${name} is missing`)
  const present = host.addr.list(link.index).map(({ address }) => address)
  const lost = wanted.find(address => !present.includes(address))
  if (lost !== undefined) throw broken(`${name} has lost the gateway's address ${lost}`)
}
