import { dns, ipam, macSources } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    ipMasq: {
      type: 'boolean', default: false,
      description: 'traffic that leaves the subnet carries the host\'s address',
    },
    ipMasqBackend: {
      enum: ['nftables', 'iptables'], default: 'nftables',
      description: 'where the masquerading rules are kept',
    },
    mtu: {
      type: 'integer', minimum: 0, maximum: 65535, default: 0,
      description: 'of both ends of the link; 0 is the kernel\'s default',
    },
    enabledad: { type: 'boolean', default: false, description: 'wait for IPv6 duplicate address detection' },
    internal: {
      type: 'boolean', default: false,
      description: 'refused: whatever a container sends is routed by its host; `bridge` has internal networks',
    },
    ipam,
    dns,
    ...macSources,
  },
} as const satisfies Schema
