// The configuration of tuning: https://www.cni.dev/plugins/current/meta/tuning/.
import type { FromSchema, Schema } from '#cni/schema.ts'

const sysctl = {
  type: 'object',
  description: 'settings below `net`, `{"net.ipv4.conf.IFNAME.arp_filter": "1"}`; IFNAME stands for the interface',
} as const satisfies Schema

const link = {
  mac: { type: 'string', description: 'hardware address' },
  mtu: { type: 'integer', minimum: 0, maximum: 65535, description: 'of the container\'s end; 0 leaves it' },
  promisc: { type: 'boolean', description: 'the interface takes in every frame' },
  allmulti: { type: 'boolean', description: 'the interface takes in every multicast frame' },
  txQLen: { type: 'integer', minimum: 0, maximum: 4294967295, description: 'length of the queue of outgoing packets' },
} as const satisfies Record<string, Schema>

export const schema = {
  type: 'object',
  properties: {
    sysctl,
    ...link,
    dataDir: {
      type: 'string', pattern: '^/', default: '/run/cni/tuning',
      description: 'where the values of before are kept, in a file per attachment',
    },
    runtimeConfig: {
      type: 'object', description: 'what the runtime decides, under `capabilities`',
      properties: { mac: { type: 'string', description: 'hardware address (capability `mac`)' } },
    },
    args: {
      type: 'object', description: 'what the administrator decides per attachment; goes before the keys above',
      properties: { cni: { type: 'object', properties: { sysctl, ...link } } },
    },
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
