// The configuration of cluster: ranges as host-local's, without its sets, and where the agent is.
import { addressRange, agentPlace, dns, excluded, ipsInArgs, ipsSent, routes } from '#cni/keys.ts'
import type { FromSchema, Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  required: ['ipam'],
  properties: {
    ipam: {
      type: 'object',
      required: ['ranges'],
      description: 'which addresses the hosts share',
      properties: {
        type: { type: 'string', description: '`cluster`' },
        ranges: {
          type: 'array',
          description: 'a range of each family: an attachment gets one address from each; the same on all hosts',
          items: {
            type: 'object',
            properties: {
              ...addressRange.properties,
              blockLength: {
                type: 'integer', minimum: 1, maximum: 126,
                description: 'prefix length of what a host gets at a time; default: 28 (16 addresses) and 122 (64), ' +
                  'longer where the range is too small for 16 hosts',
              },
            },
          },
        },
        exclude: { ...excluded, description: `${excluded.description}; each host has its own list` },
        routes,
        dns: { ...dns, description: 'the `dns` of the result' },
        resolvConf: { type: 'string', description: 'a file like resolv.conf(5) that `dns` is read from' },
        agent: {
          enum: ['resident', 'none'], default: 'resident',
          description: 'who gets blocks for this host: `fairlead agent` as a service, or each ADD that needs one',
        },
        ...agentPlace,
      },
    },
    runtimeConfig: ipsSent,
    args: ipsInArgs,
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
