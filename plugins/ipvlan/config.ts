import { dns, ipam, macSources } from '#cni/keys.ts'
import { parentKeys } from '#cni/parent.ts'
import type { Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    ...parentKeys,
    master: {
      ...parentKeys.master,
      description: 'the parent: name of a link on the host; without it, the one link of the host that the plugins ' +
        'before this one have named, or that of the default route with the lowest metric',
    },
    mode: {
      enum: ['l2', 'l3', 'l3s'], default: 'l2',
      description: 'what connects the containers: `l2` a switch, `l3` a router without neighbours and broadcasts, ' +
        '`l3s` the same with the host\'s firewall in the way',
    },
    flag: {
      enum: ['bridge', 'private', 'vepa'], default: 'bridge',
      description: 'who hears whom: `bridge` all containers on the parent, `private` none of them, `vepa` those that ' +
        'the network outside sends back to',
    },
    mac: { type: 'string', description: 'refused, from whatever source: the parent\'s address is everybody\'s' },
    enabledad: { type: 'boolean', default: false, description: 'wait for IPv6 duplicate address detection' },
    ipam: {
      ...ipam,
      properties: {
        type: {
          ...ipam.properties.type,
          description: 'IPAM plugin; without it the addresses that the plugins before this one have got are used, ' +
            'and without any the attachment is layer 2 only',
        },
      },
    },
    dns,
    ...macSources,
  },
} as const satisfies Schema
