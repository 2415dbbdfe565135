// ipvlan: gives a container a link of its own on the network of the host's, behind the host's hardware address.
import { checkInterface, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { finish, planned, requireFree } from '#cni/interface.ts'
import { requireKinds } from '#cni/kernel.ts'
import { checkParent, findParent, joinParent, refuseMtuAbove, requireParent, stackOn } from '#cni/parent.ts'
import { append } from '#cni/result.ts'
import { collectShared, leaveShared } from '#net/shared-link.ts'
import { addStacked, removeFromPod } from '#net/stacked.ts'
import { validate } from '#build/validators/ipvlan.js'
import { parted, standsOnNamed, withParent } from './chain.ts'
import { schema } from './config.ts'
import { refuseContradictions, routed } from './plan.ts'
import * as witness from './witness.ts'

export const ipvlan = driver({
  name: 'ipvlan',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add(call) {
    const { args, attachment, ifName, network, cniVersion, host, pod, ipam, previous, undo } = call
    refuseContradictions(call.config, args)
    const config = withParent(call.config, previous, pod.path)
    const { own, rest } = parted(previous)
    if (!ipam.configured) requireExpressible(cniVersion, own.ips.length > 0 ? own.ips : 'none')
    requireFree(pod, ifName)
    const home = config.linkInContainer ? pod : host
    const found = findParent(home, network, config)
    refuseMtuAbove(found, config.mtu)
    if (found.link) witness.refuseSwitch(home, found.link, config)

    const parent = joinParent(found, attachment, undo)
    const { mode, flag } = config
    const info = { kind: 'ipvlan', mode, flag } as const
    const link = stackOn(parent, () => {
      if (!config.linkInContainer) witness.join(host, parent, attachment, config, undo)
      return addStacked(home, pod, attachment, { parent: parent.index, mtu: config.mtu || undefined, info }, undo)
    })
    if (ipam.configured) return append(previous, finish(call, link, plan => routed(config, plan)))
    return append(previous && rest, finish(call, link, plan => routed(config, planned(config, own))))
  },

  check({ config, attachment, ifName, network, host, pod, previous }) {
    const result = requirePrevious(previous)
    const link = checkInterface(pod, ifName, result)
    expect(`kind of ${ifName}`, link.info.kind, 'ipvlan')
    expect(`mode of ${ifName}`, link.info.mode, config.mode)
    expect(`flag of ${ifName}`, link.info.flag, config.flag)
    const home = config.linkInContainer ? pod : host
    if (!config.master && standsOnNamed(link, home, config, result, pod.path)) return
    checkParent(home, link, network, config)
  },

  del({ attachment, host, pod, attempt }) {
    attempt(() => { if (pod) removeFromPod(pod, attachment, 'ipvlan') })
    attempt(() => leaveShared(host, attachment, 'witness'))
    attempt(() => leaveShared(host, attachment, 'parent'))
  },

  status({ config, network, host, ipam }) {
    refuseContradictions(config)
    requireKinds(host, 'ipvlan')
    // STATUS is not told what the plugins before this one will name.
    const isKnown = config.master || config.internal || ipam.configured
    const link = isKnown ? requireParent(host, network, config)?.link : undefined
    if (link) witness.refuseSwitch(host, link, config)
  },

  gc({ network, host, valid, attempt }) {
    attempt(() => collectShared(host, network, valid))
  },
})
