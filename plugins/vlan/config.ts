import { dns, ipam, macSources } from '#cni/keys.ts'
import { masterKeys } from '#cni/parent.ts'
import type { FromSchema, Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    ...masterKeys,
    vlanId: {
      type: 'integer', minimum: 0, maximum: 4094, default: 0,
      description: 'number of the VLAN; 0 tags frames with a priority and no VLAN',
    },
    protocol: {
      enum: ['802.1q', '802.1ad'], default: '802.1q',
      description: '`802.1ad` for the outer tag of two',
    },
    vlan: { type: 'integer', default: 0, description: 'refused: the number is `vlanId` here' },
    mac: { type: 'string', description: 'hardware address; what the runtime says goes before it' },
    enabledad: { type: 'boolean', default: false, description: 'wait for IPv6 duplicate address detection' },
    ipam,
    dns,
    ...macSources,
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
