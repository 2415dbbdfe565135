// The configuration of vrf: https://www.cni.dev/plugins/current/meta/vrf/.
import type { FromSchema, Schema } from '#cni/schema.ts'

export const schema = {
  type: 'object',
  required: ['vrfname'],
  properties: {
    vrfname: {
      type: 'string', pattern: '^(?!\\.{1,2}$)[^\\s/:]{1,15}$',
      description: 'name of the VRF in the container: 1 to 15 characters, no white space and none of / :; ' +
        'created when there is none',
    },
    table: {
      type: 'integer', minimum: 0, maximum: 4294967295, default: 0,
      description: 'its routing table; 0 is that of the VRF if it is there, else the first that nothing speaks of',
    },
  },
} as const satisfies Schema

export type Config = FromSchema<typeof schema>
