// Devices in /sys: which links they have, and which PCI devices are driven from user space (DPDK) and have none.
import { listDirectory, readLink, status } from '#sys/file.ts'

const PCI = '/sys/bus/pci/devices'
const AUXILIARY = '/sys/bus/auxiliary/devices'

const dpdkDrivers = ['vfio-pci', 'uio_pci_generic', 'igb_uio']

export const pciDirectory = (id: string): string => `${PCI}/${id}`

/** The directory of what a device plugin has allocated, undefined when there is no such device. */
export const allocatedDirectory = (id: string): string | undefined =>
  [PCI, AUXILIARY].map(bus => `${bus}/${id}`).find(path => status(path) !== undefined)

/** Whether a PCI device belongs to a program in user space. */
export const isForDpdk = (pciId: string): boolean =>
  dpdkDrivers.includes(readLink(`${pciDirectory(pciId)}/driver`)?.split('/').at(-1) ?? '')

/** Where the links of a device are listed. Those of a virtio device are one level below its PCI device. */
const netDirectories = (device: string): readonly string[] =>
  [device, ...listDirectory(device).filter(name => name.startsWith('virtio')).sort().map(name => `${device}/${name}`)]
    .map(directory => `${directory}/net`)

/** Names of a device's links, as far as they are in the namespace that /sys was mounted in. */
export const linkNames = (device: string): readonly string[] =>
  netDirectories(device).flatMap(directory => listDirectory(directory).sort())

/** Whether a device has a link in some namespace: the directory is there, and shows what is here. */
export const hasLinks = (device: string): boolean =>
  netDirectories(device).some(directory => status(directory) !== undefined)
