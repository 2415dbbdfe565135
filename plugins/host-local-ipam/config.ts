// The configuration of host-local: https://www.cni.dev/plugins/current/ipam/host-local/, and `exclude`.
import { addressRange, excluded, ipsInArgs, ipsSent, routes } from '#cni/keys.ts'
import type { FromSchema, Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    ipam: {
      type: 'object',
      description: 'how addresses are handed out',
      properties: {
        type: { type: 'string', description: '`host-local`' },
        ranges: {
          type: 'array',
          description: 'range sets: an attachment gets one address from each; their ranges are used one after another',
          items: { type: 'array', description: 'a range set, all of one family', items: addressRange },
        },
        ...addressRange.properties,
        exclude: excluded,
        routes,
        dataDir: {
          type: 'string', default: '/var/lib/cni/networks',
          description: 'where the records are kept, in a directory per network',
        },
        resolvConf: { type: 'string', description: 'a file like resolv.conf(5) that the result\'s `dns` is read from' },
      },
    },
    runtimeConfig: {
      type: 'object',
      description: 'what the runtime sends for the capabilities `ipRanges` and `ips`',
      properties: {
        ipRanges: {
          type: 'array',
          description: 'range sets that come before the configured ones; a flat list of ranges is one set',
        },
        ...ipsSent.properties,
      },
    },
    args: ipsInArgs,
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
