// tap: gives a container a link whose other end is a process, such as a virtual machine's monitor.
import { checkInterface, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { finish, refuseMtu, requireFree } from '#cni/interface.ts'
import { wantedMac } from '#cni/mac.ts'
import { append } from '#cni/result.ts'
import { label } from '#net/attachment.ts'
import type { Namespace } from '#net/namespace.ts'
import { removeFromPod } from '#net/stacked.ts'
import { close } from '#sys/libc.ts'
import { validate } from '#build/validators/tap.js'
import { schema } from './config.ts'
import { addTap, openDevice } from './device.ts'
import { requireSelinux } from './selinux.ts'

/** The index of the bridge that the tap is to be a port of. @throws CniError 7 when there is none of that name */
const findBridge = (pod: Namespace, name: string | undefined): number | undefined => {
  if (name === undefined) return undefined
  const link = pod.link.find(name)
  if (link?.info.kind === 'bridge') return link.index
  throw invalidConfig(
    `bridge ${JSON.stringify(name)} ${link ? 'is no bridge' : 'does not exist'} in ${pod.path}`,
    'it has to be in the container, made by a plugin before this one or by whoever made the namespace',
  )
}

/** For STATUS. @throws CniError 50 when a step finds that this host lacks something */
const available = (step: () => void): void => {
  try {
    step()
  } catch (error) {
    throw error instanceof CniError ? new CniError('notAvailable', error.message, error.details) : error
  }
}

export const tap = driver({
  name: 'tap',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add(call) {
    const { config, args, attachment, ifName, cniVersion, pod, ipam, previous, undo } = call
    refuseMtu(config.mtu)
    if (!ipam.configured) requireExpressible(cniVersion, 'none')
    const mac = wantedMac(config, args)
    requireSelinux(config.selinuxContext)
    requireFree(pod, ifName)
    const master = findBridge(pod, config.bridge)

    const spec = { ...config, mtu: config.mtu || undefined, mac, master, alias: label(attachment) }
    const link = addTap(pod, ifName, spec, undo)
    return append(previous, finish(call, link))
  },

  check({ config, ifName, pod, previous }) {
    const link = checkInterface(pod, ifName, requirePrevious(previous))
    const { kind, type, owner, group, multiQueue } = link.info
    expect(`kind of ${ifName}`, type ?? kind, 'tap')
    expect(`owner of ${ifName}`, owner, config.owner)
    expect(`group of ${ifName}`, group, config.group)
    expect(`multiQueue of ${ifName}`, multiQueue === 1, config.multiQueue)
    const master = link.master === undefined ? undefined : pod.link.at(link.master).name
    if (config.bridge !== undefined) expect(`bridge of ${ifName}`, master, config.bridge)
  },

  del({ attachment, ifName, pod, attempt }) {
    attempt(() => { if (pod?.link.find(ifName)?.info.type === 'tap') removeFromPod(pod, attachment, 'tun') })
  },

  status({ config, host }) {
    refuseMtu(config.mtu)
    wantedMac(config)
    available(() => requireSelinux(config.selinuxContext))
    available(() => close(openDevice(host)))
  },

  gc() { /* all that an attachment has is in its namespace */ },
})
