// Which device of the host a configuration means.
import { CniError, invalidConfig } from '#cni/errors.ts'
import type { FromSchema } from '#cni/schema.ts'
import { formatMac, parseMac } from '#netlink/mac.ts'
import type { Link } from '#netlink/route/link.ts'
import type { schema } from './config.ts'
import type { Past } from './past.ts'
import { allocatedDirectory, isForDpdk, linkNames, pciDirectory } from './sysfs.ts'

export type Config = FromSchema<typeof schema>

/** A device as the configuration names it. */
export interface Device {
  /** Key and value, for messages. */
  readonly what: string
  /** Its directory in /sys, if that is what names it. */
  readonly directory?: string
  /** Its PCI address, if that is what names it. */
  readonly pciId?: string
  /** Whether a link of the host is the one. */
  is(link: Link): boolean
  /** Whether a link in a container is, by what it was on the host. */
  was(past: Past): boolean
}

const byName = (device: string): Device => ({
  what: `device ${JSON.stringify(device)}`,
  is: ({ name, altNames = [] }) => name === device || altNames.includes(device),
  was: ({ name }) => name === device,
})

/** @throws CniError 7 */
const byHardwareAddress = (hwaddr: string): Device => {
  const bytes = parseMac(hwaddr)
  if (bytes === undefined) {
    throw invalidConfig(`hwaddr ${JSON.stringify(hwaddr)} is no hardware address`, 'see link/ether in `ip link`')
  }
  const wanted = formatMac(bytes)
  return {
    what: `hwaddr ${wanted}`,
    is: ({ address, loopback }) => address === wanted && !loopback,
    was: ({ mac }) => mac === wanted,
  }
}

const byDirectory = (what: string, directory: string, pciId?: string): Device => {
  let names: readonly string[] | undefined
  // In the order of the directory: the first is the one.
  const first = (): string | undefined => (names ??= linkNames(directory))[0]
  return { what, directory, ...(pciId && { pciId }), is: ({ name }) => name === first(), was: () => false }
}

const byKernelPath = (path: string): Device => {
  if (path.split('/').includes('..')) {
    throw invalidConfig(`kernelpath ${JSON.stringify(path)} leads upwards`, 'write the path without ..')
  }
  return byDirectory(`kernelpath ${path}`, path)
}

const byAllocation = (id: string): Device => {
  const directory = allocatedDirectory(id)
  if (directory === undefined) {
    throw new CniError(
      'notAvailable',
      `runtimeConfig.deviceID ${JSON.stringify(id)} is no PCI and no auxiliary device of this host`,
      'see /sys/bus/pci/devices and /sys/bus/auxiliary/devices; the device plugin of the node allocates it',
    )
  }
  return byDirectory(`runtimeConfig.deviceID ${id}`, directory, directory === pciDirectory(id) ? id : undefined)
}

/**
 * The device that a configuration means: the first of these keys that is given counts, as with the reference plugin,
 * where a device that the runtime has allocated stands in for `pciBusID`.
 * @returns undefined when none is given
 * @throws CniError 7 when a key makes no sense, 50 when the allocated device is not there
 */
export const deviceOf = ({ device, hwaddr, kernelpath, pciBusID, runtimeConfig }: Config): Device | undefined => {
  const allocated = runtimeConfig?.deviceID
  if (device !== undefined) return byName(device)
  if (hwaddr !== undefined) return byHardwareAddress(hwaddr)
  if (kernelpath !== undefined) return byKernelPath(kernelpath)
  if (allocated !== undefined) return byAllocation(allocated)
  return pciBusID === undefined ? undefined : byDirectory(`pciBusID ${pciBusID}`, pciDirectory(pciBusID), pciBusID)
}

/** The PCI address of a device that belongs to a program in user space, which goes before all others. */
export const dpdkDeviceOf = ({ pciBusID, runtimeConfig }: Config): string | undefined => {
  const id = runtimeConfig?.deviceID ?? pciBusID
  return id !== undefined && isForDpdk(id) ? id : undefined
}

/** `deviceOf` for verbs that need one. @throws CniError 7 when none is given, and as `deviceOf` */
export const requireDevice = (config: Config): Device => {
  const device = deviceOf(config)
  if (device) return device
  throw invalidConfig(
    'no device is given',
    'give one of device, hwaddr, kernelpath and pciBusID, or the capability deviceID',
  )
}
