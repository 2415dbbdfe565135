// macvlan: gives a container a link of its own on the network of the host's, with its own hardware address.
import { checkInterface, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { finish, requireFree } from '#cni/interface.ts'
import { requireKinds } from '#cni/kernel.ts'
import { wantedMac } from '#cni/mac.ts'
import { checkParent, findParent, joinParent, refuseMtuAbove, requireParent, stackOn } from '#cni/parent.ts'
import { append } from '#cni/result.ts'
import { leaveShared } from '#net/shared-link.ts'
import { addStacked, removeFromPod } from '#net/stacked.ts'
import { validate } from '#build/validators/macvlan.js'
import { schema } from './config.ts'
import { alone, linkInfo, refuseContradictions, refuseMacOf } from './plan.ts'
import * as shim from './shim.ts'

export const macvlan = driver({
  name: 'macvlan',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add(call) {
    const { config, args, attachment, ifName, network, cniVersion, host, pod, ipam, previous, undo } = call
    refuseContradictions(config, ipam.configured)
    if (!ipam.configured) requireExpressible(cniVersion, 'none')
    const mac = wantedMac(config, args)
    refuseMacOf(config, mac)
    requireFree(pod, ifName)
    const home = config.linkInContainer ? pod : host
    const found = findParent(home, network, config)
    refuseMtuAbove(found, config.mtu)

    const parent = joinParent(found, attachment, undo)
    const mtu = config.mtu || undefined
    const spec = { parent: parent.index, mtu, mac, info: linkInfo(config) }
    const link = stackOn(parent, () => alone(parent, () => addStacked(home, pod, attachment, spec, undo)))
    const result = finish(call, link)
    if (config.hostAccess) shim.admit(host, parent, attachment, result.ips.map(({ address }) => address), undo)
    return append(previous, result)
  },

  check({ config, attachment, ifName, network, host, pod, previous }) {
    const result = requirePrevious(previous)
    const link = checkInterface(pod, ifName, result)
    expect(`kind of ${ifName}`, link.info.kind, 'macvlan')
    expect(`mode of ${ifName}`, link.info.mode, config.mode)
    checkParent(config.linkInContainer ? pod : host, link, network, config)
    if (!config.hostAccess) return
    const own = result.ips.filter(ip => ip.interface === undefined || result.interfaces[ip.interface]?.name === ifName)
    shim.check(host, attachment, own.map(({ address }) => address))
  },

  del({ attachment, host, pod, attempt }) {
    attempt(() => { if (pod) removeFromPod(pod, attachment, 'macvlan') })
    attempt(() => shim.dismiss(host, attachment))
    attempt(() => leaveShared(host, attachment, 'parent'))
  },

  status({ config, network, host, ipam }) {
    refuseContradictions(config, ipam.configured)
    refuseMacOf(config, wantedMac(config))
    requireKinds(host, 'macvlan')
    requireParent(host, network, config)
  },

  gc({ network, host, valid, attempt }) {
    attempt(() => shim.collect(host, network, valid))
  },
})
