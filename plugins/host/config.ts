import { dns } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    dns,
    runtimeConfig: {
      type: 'object', description: 'what the runtime decides, under `capabilities`',
      properties: {
        portMappings: {
          type: 'array', items: { type: 'object' },
          description: 'ports to publish (capability `portMappings`): ignored with a warning, as by Docker',
        },
      },
    },
  },
} as const satisfies Schema
