// overlay: one network over many hosts. A veth pair between a container and its host, which routes for it, to other
// hosts through a VXLAN or WireGuard device that the agent keeps. There is no bridge: everything is routed anyway, a
// bridge would only have to answer ARP for all the others, and it has 1,023 ports.
import { broken, checkInterface, expect, requirePrevious, verify } from '#cni/check.ts'
import { hostLocalConfig, inNetwork, recordedConfig, recordsOnly } from '#cni/cluster/addresses.ts'
import { requireAgent, warnOfLoss } from '#cni/cluster/agent.ts'
import { lease } from '#cni/cluster/lease.ts'
import { current, whyOutOfService } from '#cni/cluster/part.ts'
import { isStale, release } from '#cni/cluster/release.ts'
import { isUsable } from '#cni/cluster/run-file.ts'
import { driver } from '#cni/driver.ts'
import { CniError, codes } from '#cni/errors.ts'
import { describe, finishWith, requireFree } from '#cni/interface.ts'
import { lackingInKernel, requireKinds } from '#cni/kernel.ts'
import { wantedMac } from '#cni/mac.ts'
import { requestedIps } from '#cni/requested-ips.ts'
import { append } from '#cni/result.ts'
import { checkPort, checkRouting, containerRoutes, routeHost } from '#cni/routed-pair.ts'
import { hostLinkName } from '#net/attachment.ts'
import { create } from '#net/creation.ts'
import { enableForwarding } from '#net/forwarding.ts'
import * as masquerade from '#net/masquerade.ts'
import { findWireguard } from '#net/overlay-wireguard.ts'
import { waitForCarrier } from '#net/ready.ts'
import { trySysctl } from '#net/sysctl.ts'
import { addVeth, collectLinks, isUnclaimedPair, removeVeth } from '#net/veth.ts'
import { familyOf } from '#netlink/ip.ts'
import { validate } from '#build/validators/overlay.js'
import { schema } from './config.ts'
import { partIn, type Config } from './part.ts'
import { mtuOf, networkRoutes, refuseContradictions, withDefaultRoutes } from './plan.ts'

const { dataDir: defaultDataDir, runDir: defaultRunDir, agentConfig: defaultAgentConfig } = schema.properties

/** For verbs that have to do with less than a whole configuration. */
const placeIn = (config: Partial<Config>) => ({
  agent: config.agent ?? 'resident', agentConfig: config.agentConfig ?? defaultAgentConfig.default,
  runDir: config.runDir ?? defaultRunDir.default,
})

export const overlay = driver({
  name: 'overlay',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC', 'IP'],

  add(call) {
    const { config, raw, args, attachment, ifName, host, pod, previous, undo } = call
    refuseContradictions(config, raw)
    const mac = wantedMac(config, args)
    requireFree(pod, ifName)
    const wish = { dataDir: config.dataDir, requests: requestedIps(config, args) }
    const { run, leased } = lease(call, partIn(call), wish)
    const mtu = mtuOf(config, run)

    addVeth(host, pod, attachment, { mtu, mac }, undo)
    const port = host.link.get(hostLinkName(attachment))
    const link = pod.link.get(ifName)
    // The host asks for its neighbour by its link-local address, which must not be tentative then.
    trySysctl(`ipv6/conf/${port.name}/accept_dad`, '0')
    const plan = withDefaultRoutes(pod, link, config, run, leased)
    const result = finishWith({ ...call, config: { ...config, mtu }, pod }, link, plan, undefined, ({ ips }) =>
      [...containerRoutes(ips, link), ...networkRoutes(run, ips, link)])
    routeHost(host, port, result.ips)
    const addresses = result.ips.map(({ address }) => inNetwork(run, address))
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

  check(call) {
    const { config, network, attachment, ifName, host, pod, previous } = call
    const result = requirePrevious(previous)
    const run = current({ network, asker: config })
    if (run === undefined) throw broken(`network ${network} has no file in ${config.runDir}: the agent has not run`)
    if (run.addressing === 'pool') throw broken(`network ${network} is a pool of addresses, not an overlay`)
    const link = checkInterface(pod, ifName, result)
    expect(`kind of ${ifName}`, link.info.kind, 'veth')
    const port = checkPort(host, pod, link)
    const own = result.ips.filter(ip => ip.interface === undefined || result.interfaces[ip.interface]?.name === ifName)
    checkRouting(host, port, pod, link, own, networkRoutes(run, own, link))
    const tunnel = host.link.find(run.device)
    if (tunnel === undefined) throw broken(`device ${run.device} is missing, which the agent keeps: is it running?`)
    expect(`state of ${run.device}`, tunnel.up ? 'up' : 'down', 'up')
    call.delegate(recordedConfig(own.map(({ address }) => address), config.dataDir)).check()
    if (!config.ipMasq) return
    const addresses = own.map(({ address }) => inNetwork(run, address))
    verify(() => masquerade.check(host, attachment, addresses, config.ipMasqBackend))
  },

  del(call) {
    const { config, containerId, attachment, ifName, host, pod, attempt } = call
    attempt(() => {
      if (!removeVeth(host, attachment) && pod && isUnclaimedPair(host, pod, attachment)) pod.link.remove(ifName)
    })
    // By the attachment's name: the addresses of the result have another prefix length than those that are hidden.
    attempt(() => masquerade.remove(host, attachment))
    attempt(() => call.delegate(recordsOnly(config.dataDir ?? defaultDataDir.default)).del())
    release(call, placeIn(config), ({ container, ifname }) => container === containerId && ifname === ifName)
  },

  status(call) {
    const { config, raw, network, host } = call
    refuseContradictions(config, raw)
    const run = current({ network, asker: config })
    const isEncrypted = (run?.encryption ?? config.encryption) === 'wireguard'
    requireKinds(host, 'veth', ...isEncrypted ? [] : ['vxlan'] as const)
    if (isEncrypted && findWireguard(host) === undefined) throw lackingInKernel('WireGuard')
    const why = run && whyOutOfService(config, run)
    if (why) {
      throw new CniError('notAvailable', `this host hands out no addresses of ${network}: ${why.reason}`, why.advice)
    }
    if (run === undefined || !isUsable(run)) return requireAgent(config, network, config.ranges !== undefined)
    try {
      call.delegate(hostLocalConfig(run, config.dataDir)).status()
    } catch (error) {
      if (!(error instanceof CniError) || error.code !== codes.notAvailable) throw error
      requireAgent(config, network, true) // for another block
    }
    warnOfLoss(config, network)
  },

  gc(call) {
    const { config, network, host, valid, attempt } = call
    attempt(() => collectLinks(host, network, valid))
    attempt(() => masquerade.collect(host, network, valid))
    attempt(() => call.delegate(recordsOnly(config.dataDir ?? defaultDataDir.default)).gc())
    attempt(() => release(call, placeIn(config), isStale(valid)))
  },
})
