// The configuration of static: https://www.cni.dev/plugins/current/ipam/static/, and `gateways`.
import { dns, ipsInArgs, routes } from '#cni/keys.ts'
import type { FromSchema, Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  required: ['ipam'],
  properties: {
    ipam: {
      type: 'object',
      description: 'which addresses are handed out',
      properties: {
        type: { type: 'string', description: '`static`' },
        addresses: {
          type: 'array',
          description: 'what an attachment gets that asks for nothing else',
          items: {
            type: 'object',
            required: ['address'],
            properties: {
              address: { type: 'string', description: 'the address with its prefix length, 10.1.2.3/24' },
              gateway: { type: 'string', description: 'the gateway that goes with it; need not be in its subnet' },
            },
          },
        },
        gateways: {
          type: 'array',
          description: 'gateways of addresses that have none of their own: each address gets the first in its subnet',
          items: { type: 'string' },
        },
        routes,
        dns: { ...dns, description: 'the `dns` of the result' },
      },
    },
    runtimeConfig: {
      type: 'object',
      description: 'what the runtime sends for the capability `ips`',
      properties: {
        ips: {
          type: 'array',
          description: 'addresses with prefix length that the attachment gets instead of `ipam.addresses`',
          items: { type: 'string' },
        },
      },
    },
    args: ipsInArgs,
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
