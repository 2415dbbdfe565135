// The configuration of firewall: https://www.cni.dev/plugins/current/meta/firewall/.
import type { FromSchema, Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    backend: {
      enum: ['nftables', 'iptables', 'firewalld'],
      description: 'who lets packets through; default: `firewalld` where it runs, `nftables` elsewhere',
    },
    ingressPolicy: {
      enum: ['open', 'same-bridge', 'isolated'], default: 'open',
      description: '`same-bridge`: nothing comes from another device with a policy, such as another network\'s ' +
        'bridge; ' +
        '`isolated`: nor from other containers of the same bridge',
    },
    iptablesAdminChainName: {
      type: 'string', pattern: '^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,27}$', default: 'CNI-ADMIN',
      description: 'chain of iptables table filter whose rules come before ours',
    },
    firewalldZone: {
      type: 'string', pattern: '^[^\\s"]+$', default: 'trusted',
      description: 'zone of firewalld that containers\' addresses are put into',
    },
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
