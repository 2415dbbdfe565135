// vlan: gives a container the link of one VLAN (IEEE 802.1Q) of a link of the host's.
import { checkInterface, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { finish, refuseMtu, requireFree } from '#cni/interface.ts'
import { requireKinds } from '#cni/kernel.ts'
import { wantedMac } from '#cni/mac.ts'
import { checkParent, findParent, joinParent, refuseMtuAbove, requireParent, type Parent } from '#cni/parent.ts'
import { append } from '#cni/result.ts'
import { collectShared, leaveShared } from '#net/shared-link.ts'
import { addStacked, removeFromPod } from '#net/stacked.ts'
import { NetlinkError } from '#netlink/error.ts'
import { validate } from '#build/validators/vlan.js'
import { schema, type Config } from './config.ts'

/** @throws CniError 7 */
const refuseMistakes = ({ mtu, vlan }: Config): void => {
  refuseMtu(mtu)
  if (vlan !== 0) throw invalidConfig(`vlan ${vlan} is no key of this plugin`, 'write vlanId')
}

/** Runs a step that makes the link of a VLAN. @throws CniError 100 when somebody else has it */
const unlessTaken = <T>({ spec }: Parent, vlanId: number, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    // The kernel has the same errno for a name that is taken, and says so in words.
    if (!(error instanceof NetlinkError) || error.code !== 'EEXIST' || !/vlan/i.test(error.reason ?? '')) throw error
    throw new CniError(
      'kernelRefused',
      `vlanId ${vlanId} of ${spec.name} is taken: the kernel has one link for each VLAN`,
      'the host or another container has it: give each its own, or share one by macvlan or ipvlan with their key vlan',
      { cause: error },
    )
  }
}

export const vlan = driver({
  name: 'vlan',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add(call) {
    const { config, args, attachment, ifName, network, cniVersion, host, pod, ipam, previous, undo } = call
    refuseMistakes(config)
    if (!ipam.configured) requireExpressible(cniVersion, 'none')
    const mac = wantedMac(config, args)
    requireFree(pod, ifName)
    const home = config.linkInContainer ? pod : host
    const parent = findParent(home, network, config)
    refuseMtuAbove(parent, config.mtu)

    const { index } = joinParent(parent, attachment, undo)
    const { vlanId: vid, protocol } = config
    const spec = {
      parent: index, mtu: config.mtu || undefined, mac, info: { kind: 'vlan', vid, protocol },
    } as const
    const link = unlessTaken(parent, vid, () => addStacked(home, pod, attachment, spec, undo))
    return append(previous, finish(call, link))
  },

  check({ config, ifName, network, host, pod, previous }) {
    const link = checkInterface(pod, ifName, requirePrevious(previous))
    expect(`kind of ${ifName}`, link.info.kind, 'vlan')
    expect(`vlanId of ${ifName}`, link.info.vid, config.vlanId)
    expect(`protocol of ${ifName}`, link.info.protocol, config.protocol)
    checkParent(config.linkInContainer ? pod : host, link, network, config)
  },

  del({ attachment, host, pod, attempt }) {
    attempt(() => { if (pod) removeFromPod(pod, attachment, 'vlan') })
    attempt(() => leaveShared(host, attachment, 'parent'))
  },

  status({ config, network, host }) {
    refuseMistakes(config)
    wantedMac(config)
    requireKinds(host, 'vlan')
    requireParent(host, network, config)
  },

  gc({ network, host, valid, attempt }) {
    attempt(() => collectShared(host, network, valid))
  },
})
