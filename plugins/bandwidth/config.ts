// The configuration of bandwidth: https://www.cni.dev/plugins/current/meta/bandwidth/.
import type { FromSchema, Schema } from '#cni/schema.ts'

const amount = (description: string) => ({ type: 'integer', minimum: 0, description }) as const satisfies Schema

const limits = {
  ingressRate: amount('to the container, bits per second; 0 is no limit'),
  ingressBurst: amount('what may come at once, bits'),
  egressRate: amount('from the container, bits per second; 0 is no limit'),
  egressBurst: amount('what may go at once, bits'),
} as const satisfies Record<string, Schema>

export const schema = {
  type: 'object',
  properties: {
    ...limits,
    runtimeConfig: {
      type: 'object', description: 'what the runtime decides, under `capabilities`',
      properties: {
        bandwidth: {
          type: 'object', properties: limits,
          description: 'the same keys (capability `bandwidth`); they count when none of those above is given',
        },
      },
    },
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
