// dummy: gives a container a link that leads nowhere, to have addresses on.
import { checkInterface, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { invalidConfig } from '#cni/errors.ts'
import { finish, refuseMtu, requireFree } from '#cni/interface.ts'
import { requireKinds } from '#cni/kernel.ts'
import { wantedMac } from '#cni/mac.ts'
import { append } from '#cni/result.ts'
import { label } from '#net/attachment.ts'
import { create } from '#net/creation.ts'
import { removeFromPod } from '#net/stacked.ts'
import { validate } from '#build/validators/dummy.js'
import { schema } from './config.ts'

/** Addresses are all that the link is for: without them it is a mistake, as to the reference. @throws CniError 7 */
const requireAddresses = (isConfigured: boolean): void => {
  if (!isConfigured) throw invalidConfig('ipam.type is missing', 'a dummy interface needs an IPAM plugin')
}

export const dummy = driver({
  name: 'dummy',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add(call) {
    const { config, args, attachment, ifName, pod, ipam, previous, undo } = call
    requireAddresses(ipam.configured)
    refuseMtu(config.mtu)
    const mac = wantedMac(config, args)
    requireFree(pod, ifName)

    create(undo, `link ${ifName}`, () => pod.link.remove(ifName), () => pod.requestAll([
      pod.link.adding({ name: ifName, mtu: config.mtu || undefined, address: mac, info: { kind: 'dummy' } }),
      pod.link.setting(0, { name: ifName, alias: label(attachment) }),
    ]))
    return append(previous, finish(call, pod.link.get(ifName)))
  },

  check({ ifName, pod, previous }) {
    const link = checkInterface(pod, ifName, requirePrevious(previous))
    expect(`kind of ${ifName}`, link.info.kind, 'dummy')
  },

  del({ attachment, pod, attempt }) {
    attempt(() => { if (pod) removeFromPod(pod, attachment, 'dummy') })
  },

  status({ config, host, ipam }) {
    requireAddresses(ipam.configured)
    refuseMtu(config.mtu)
    requireKinds(host, 'dummy')
  },

  gc() { /* all that an attachment has is in its namespace */ },
})
