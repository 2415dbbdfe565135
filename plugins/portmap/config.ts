// The configuration of portmap: https://www.cni.dev/plugins/current/meta/portmap/.
import type { FromSchema, Schema } from '#cni/schema.ts'

const port = (description: string) =>
  ({ type: 'integer', minimum: 1, maximum: 65535, description }) as const satisfies Schema

const conditions = (family: string) => ({
  type: 'array', items: { type: 'string' },
  description: `what else has to hold of ${family} packets; see below`,
}) as const satisfies Schema

export const schema = {
  type: 'object',
  properties: {
    backend: {
      enum: ['nftables', 'iptables'],
      description: 'where the rules are kept; default: `nftables`, unless `externalSetMarkChain` or conditions are ' +
        'written for iptables',
    },
    snat: {
      type: 'boolean', default: true,
      description: 'connections that would not find back carry the host\'s address: from the container itself, from ' +
        'its neighbours, from the host\'s loopback addresses',
    },
    masqAll: {
      type: 'boolean', default: false,
      description: 'with `snat`, every connection to a published port carries the host\'s address',
    },
    hostBinding: {
      type: 'string',
      description: 'the address of the host for ports that come without `hostIP`; `0.0.0.0` is all, of both families',
    },
    conditionsV4: conditions('IPv4'),
    conditionsV6: conditions('IPv6'),
    markMasqBit: {
      type: 'integer', minimum: 0, maximum: 31,
      description: 'bit of the packet mark that the iptables backend uses, 13 unless given; nftables does without',
    },
    externalSetMarkChain: {
      // XT_EXTENSION_MAXNAMELEN of include/uapi/linux/netfilter/x_tables.h, less the closing NUL.
      type: 'string', pattern: '^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,27}$',
      description: 'with iptables, the chain of table `nat` that sets a mark in place of ours',
    },
    runtimeConfig: {
      type: 'object', description: 'what the runtime decides, under `capabilities`',
      properties: {
        portMappings: {
          type: 'array', description: 'the ports (capability `portMappings`)',
          items: {
            type: 'object',
            required: ['hostPort', 'containerPort'],
            properties: {
              hostPort: port('port of the host'),
              hostPortEnd: port('the last one, for a range of as many ports of the container'),
              containerPort: port('port of the container; of a range, the first'),
              protocol: { type: 'string', description: '`tcp`, `udp` or `sctp`; default: `tcp`' },
              hostIP: { type: 'string', description: 'address of the host; default: all of them' },
            },
          },
        },
      },
    },
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
