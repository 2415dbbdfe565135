// host-device: gives a container a device of the host's, such as a network card, and takes it back as it was.
import { broken, checkInterface, expect, requirePrevious } from '#cni/check.ts'
import { driver, type Add } from '#cni/driver.ts'
import { requireExpressible } from '#cni/encode.ts'
import { invalidConfig } from '#cni/errors.ts'
import { finishWith, lease, planned, refuseMtu, requireFree } from '#cni/interface.ts'
import { wantedMac } from '#cni/mac.ts'
import { append, type Result } from '#cni/result.ts'
import type { Namespace } from '#net/namespace.ts'
import { isShared } from '#net/shared-link.ts'
import type { Link } from '#netlink/route/link.ts'
import { validate } from '#build/validators/host-device.js'
import { schema } from './config.ts'
import { deviceOf, dpdkDeviceOf, requireDevice, type Config, type Device } from './device.ts'
import { requirePresence, unavailable } from './elsewhere.ts'
import { collect, findLent, lend, pastByReference, requireNoneLent, takeBack } from './loan.ts'

/** The device among the links of the host, undefined when it is not there. @throws CniError 7 when it must not go */
const choose = (host: Namespace, device: Device): Link | undefined => {
  const link = host.link.list().find(candidate => device.is(candidate))
  if (link?.loopback) throw invalidConfig(`${device.what} is the loopback link`, 'name one that leads somewhere')
  if (link?.master) {
    const { name } = host.link.at(link.master)
    throw invalidConfig(`${device.what} is a port of ${name}`, `take ${link.name} out of ${name} first`)
  }
  if (link && isShared(link)) {
    throw invalidConfig(`${device.what} is what containers' links stand on`, 'delete those attachments first')
  }
  return link
}

/** Without a link the result is all that there is to compare with. @throws CniError 7 */
const requireEntry = ({ interfaces }: Result, ifName: string, netns: string): void => {
  if (interfaces.some(({ name, sandbox }) => name === ifName && sandbox === netns)) return
  throw invalidConfig(`prevResult has no interface ${ifName} in ${netns}`, 'CHECK needs the result of ADD')
}

/** What the kernel does not drive has no MTU and no hardware address that could be set. @throws CniError 7 */
const refuseForDpdk = (id: string, mtu: number, mac: string | undefined): void => {
  const [key, value] = mac ? ['mac', mac] : ['mtu', mtu]
  if (!value) return
  throw invalidConfig(`${key} ${value} cannot be given to ${id}, which has a DPDK driver`, `leave ${key} out`)
}

/** The result for a device that a program in user space drives: nothing is moved and nothing configured. */
const describeOnly = ({ config, cniVersion, ifName, ipam, pod, undo }: Add<Config>, pciID: string): Result => {
  const sandbox = pod.path
  const leased = lease({ ipam, undo })
  const plan = planned(config, leased)
  requireExpressible(cniVersion, leased ? plan.ips : 'none')
  return {
    ...plan, interfaces: [{ name: ifName, sandbox, pciID }], ips: plan.ips.map(ip => ({ ...ip, interface: 0 })),
  }
}

export const hostDevice = driver({
  name: 'host-device',
  kind: 'interface',
  schema,
  validate,
  args: ['MAC'],

  add(call) {
    const { config, args, attachment, ifName, cniVersion, host, pod, ipam, previous, undo } = call
    refuseMtu(config.mtu)
    if (!ipam.configured) requireExpressible(cniVersion, 'none')
    const mac = wantedMac(config, args)
    const dpdk = dpdkDeviceOf(config)
    if (dpdk !== undefined) {
      refuseForDpdk(dpdk, config.mtu, mac)
      return append(previous, describeOnly(call, dpdk))
    }
    const device = requireDevice(config)
    requireFree(pod, ifName)

    // What can go wrong before the device moves does: the move costs it its addresses and routes on the host.
    requireNoneLent(host, pod, attachment)
    choose(host, device)
    const leased = lease(call)
    if (leased) requireExpressible(cniVersion, leased.ips)

    const wishes = { mtu: config.mtu || undefined, mac }
    const link = lend(host, pod, attachment, () => choose(host, device), wishes, undo)
    if (link === undefined) throw unavailable(host, device)
    const result = finishWith(call, link, leased)
    const interfaces = result.interfaces.map(entry => ({ ...entry, pciID: device.pciId }))
    return append(previous, { ...result, interfaces })
  },

  check({ config, attachment, ifName, host, pod, previous }) {
    const result = requirePrevious(previous)
    if (dpdkDeviceOf(config) !== undefined) return requireEntry(result, ifName, pod.path)
    const lent = findLent(pod, host, attachment)
    if (lent && lent.name !== ifName) throw broken(`the device of ${ifName} is called ${lent.name} in ${pod.path}`)
    const link = checkInterface(pod, ifName, result)
    if (!lent && !pastByReference(host, link, config.device)) {
      throw broken(`${ifName} is not the device that was attached`)
    }
    if (config.mtu > 0) expect(`mtu of ${ifName}`, link.mtu, config.mtu)
  },

  del({ config, attachment, host, pod, attempt }) {
    attempt(() => takeBack(host, pod, attachment, config.device))
  },

  status({ config, host }) {
    refuseMtu(config.mtu)
    if (dpdkDeviceOf(config) !== undefined) return
    // What the runtime allocates it does not say here.
    const device = config.capabilities?.deviceID ? deviceOf(config) : requireDevice(config)
    if (device) requirePresence(host, device)
  },

  gc({ network, host, valid, attempt }) {
    attempt(() => collect(host, network, valid))
  },
})
