import { dns, ipam, macSources } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

const deviceId = {
  type: 'string', pattern: '^[^\\s/.][^\\s/]*$',
  description: 'what a device plugin has allocated (capability `deviceID`): an entry of /sys/bus/pci/devices or ' +
    '/sys/bus/auxiliary/devices',
} as const satisfies Schema

export const schema = {
  type: 'object',
  properties: {
    device: {
      type: 'string', pattern: '^[^\\s/]{1,127}$',
      description: 'the device: name, or alternative name, of a link on the host',
    },
    hwaddr: { type: 'string', description: 'the device by its hardware address' },
    kernelpath: {
      type: 'string', pattern: '^/sys/devices/',
      description: 'the device by its directory below /sys/devices/, such as /sys/devices/pci0000:00/0000:00:19.0',
    },
    pciBusID: {
      type: 'string', pattern: '^[^\\s/.][^\\s/]*$',
      description: 'the device by its PCI address, such as 0000:00:19.0; one bound to a DPDK driver (vfio-pci, ' +
        'uio_pci_generic, igb_uio) is not moved',
    },
    mtu: {
      type: 'integer', minimum: 0, maximum: 65535, default: 0,
      description: 'of the device as long as the container has it; 0 leaves it',
    },
    mac: { type: 'string', description: 'hardware address as long as the container has the device' },
    enabledad: { type: 'boolean', default: false, description: 'wait for IPv6 duplicate address detection' },
    ipam,
    dns,
    ...macSources,
    runtimeConfig: {
      ...macSources.runtimeConfig, properties: { ...macSources.runtimeConfig.properties, deviceID: deviceId },
    },
    capabilities: { type: 'object', properties: { deviceID: { type: 'boolean' } } },
  },
} as const satisfies Schema
