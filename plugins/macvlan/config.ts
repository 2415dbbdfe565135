import { dns, ipam, macSources } from '#cni/keys.ts'
import { parentKeys } from '#cni/parent.ts'
import type { Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  properties: {
    ...parentKeys,
    mode: {
      enum: ['bridge', 'private', 'vepa', 'passthru', 'source'], default: 'bridge',
      description: 'who hears whom: `bridge` all containers on the parent, `private` none of them, `vepa` those that ' +
        'a switch sends back to, `passthru` gives the parent to one container, `source` lets in what `sources` lists',
    },
    sources: {
      type: 'array', items: { type: 'string' },
      description: 'hardware addresses whose frames reach the container, with mode `source`; without any none do',
    },
    bcqueuelen: {
      type: 'integer', minimum: 0, maximum: 4294967295, default: 0,
      description: 'length of the queue of broadcasts, shared by all on the parent; 0 leaves it',
    },
    hostAccess: {
      type: 'boolean', default: false,
      description: 'the host and its containers reach each other, through a macvlan link of the host\'s own; needs ' +
        '`ipam` and mode `bridge`, not with `internal` or `linkInContainer`',
    },
    mac: { type: 'string', description: 'hardware address; what the runtime says goes before it' },
    enabledad: { type: 'boolean', default: false, description: 'wait for IPv6 duplicate address detection' },
    ipam,
    dns,
    ...macSources,
  },
} as const satisfies Schema
