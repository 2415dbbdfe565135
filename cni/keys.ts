// Parts of configuration schemas that several plugins share: CONVENTIONS.md of the CNI repository.
import type { Schema } from './schema.ts'

const texts = { type: 'array', items: { type: 'string' } } as const satisfies Schema

/** `dns`, as in results. */
export const dns = {
  type: 'object',
  description: 'DNS settings for the result; any of its keys replaces what IPAM says',
  properties: { nameservers: texts, domain: { type: 'string' }, search: texts, options: texts },
} as const satisfies Schema

/** `runtimeConfig` and `args.cni` of plugins that let the runtime choose the hardware address. */
export const macSources = {
  runtimeConfig: {
    type: 'object', description: 'what the runtime decides, under `capabilities`',
    properties: { mac: { type: 'string', description: 'hardware address (capability `mac`)' } },
  },
  args: {
    type: 'object', description: 'what the administrator decides per attachment',
    properties: { cni: { type: 'object', properties: { mac: { type: 'string', description: 'hardware address' } } } },
  },
} as const satisfies Record<string, Schema>
