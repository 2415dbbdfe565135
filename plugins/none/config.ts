import { dns } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    dns,
    ipv6: { type: 'boolean', default: false, description: 'keep ::1 on lo; without it IPv6 is switched off there' },
  },
} as const satisfies Schema
