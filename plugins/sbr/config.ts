// The configuration of sbr: https://www.cni.dev/plugins/current/meta/sbr/.
import type { FromSchema, Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    table: {
      type: 'integer', minimum: 1, maximum: 4294967295,
      description: 'routing table that is there already: only rules are made, routes stay as they are',
    },
    gateways: {
      type: 'array', items: { type: 'string' },
      description: 'the next hop of the default route, one per family; default: the address\'s gateway',
    },
    addSourceHints: {
      type: 'boolean', default: false,
      description: 'the main table keeps the way to the interface\'s subnets, with its address as the source',
    },
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
