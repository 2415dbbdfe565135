import { dns, macSources } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    mtu: { type: 'integer', minimum: 0, maximum: 65535, default: 0, description: 'bytes; 0 is the kernel\'s default' },
    mac: { type: 'string', description: 'hardware address; what the runtime says goes before it' },
    ipam: { type: 'object', properties: { type: { type: 'string', description: 'IPAM plugin; there has to be one' } } },
    dns,
    ...macSources,
  },
} as const satisfies Schema
