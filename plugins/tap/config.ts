import { dns, ipam, macSources } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

const id = { type: 'integer', minimum: 0, maximum: 4294967294 } as const satisfies Schema

export const schema = {
  type: 'object',
  properties: {
    owner: { ...id, description: 'number of the user who may open the tap' },
    group: { ...id, description: 'number of the group whose members may open the tap' },
    multiQueue: {
      type: 'boolean', default: false,
      description: 'a process opens it several times, once for each queue, and says so by `IFF_MULTI_QUEUE`',
    },
    mtu: { type: 'integer', minimum: 0, maximum: 65521, default: 0, description: 'bytes; 0 is the kernel\'s default' },
    mac: {
      type: 'string', description: 'hardware address of the container\'s end; what the runtime says goes before it',
    },
    bridge: {
      type: 'string', pattern: '^[^\\s/]{1,15}$',
      description: 'a bridge that is there, in the container\'s network namespace, which the tap becomes a port of',
    },
    selinuxContext: {
      type: 'string', pattern: '^[^\\s:]+(:[^\\s:]+){2}(:\\S+)?$',
      description: 'SELinux context of the tap, `system_u:system_r:container_t:s0`',
    },
    ipam,
    dns,
    ...macSources,
  },
} as const satisfies Schema
