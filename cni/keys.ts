// Parts of configuration schemas that several plugins share: CONVENTIONS.md of the CNI repository.
import type { Schema } from './schema.ts'

const texts = { type: 'array', items: { type: 'string' } } as const satisfies Schema

/** `dns`, as in results. */
export const dns = {
  type: 'object',
  description: 'DNS settings for the result; any of its keys replaces what IPAM says',
  properties: { nameservers: texts, domain: { type: 'string' }, search: texts, options: texts },
} as const satisfies Schema

const uint32 = { type: 'integer', minimum: 0, maximum: 4294967295 } as const satisfies Schema

/** `ipam.routes`, as in results of 1.1.0. */
export const routes = {
  type: 'array',
  description: 'routes of the container, handed to the plugin that makes its interface',
  items: {
    type: 'object',
    required: ['dst'],
    properties: {
      dst: { type: 'string', description: 'the destination in CIDR notation' },
      gw: { type: 'string', description: 'the next hop; default: gateway of the family\'s first address' },
      mtu: { ...uint32, description: 'largest packet along the route, bytes' },
      advmss: { ...uint32, description: 'largest TCP segment advertised, bytes' },
      priority: { ...uint32, description: 'metric; the lowest wins' },
      table: { ...uint32, description: 'routing table' },
      scope: { type: 'integer', minimum: 0, maximum: 255, description: '0 global, 253 link, 254 host' },
    },
  },
} as const satisfies Schema

/** A range of addresses of IPAM plugins; address-range.ts reads it. */
export const addressRange = {
  type: 'object',
  properties: {
    subnet: { type: 'string', description: 'the subnet in CIDR notation, host bits zero, at most /30 or /126' },
    rangeStart: { type: 'string', description: 'first address handed out; default: the one after the network address' },
    rangeEnd: { type: 'string', description: 'last address handed out; default: the last, in IPv4 before broadcast' },
    gateway: { type: 'string', description: 'never handed out; default: the one after the network address' },
  },
} as const satisfies Schema

/** `ipam.exclude`. */
export const excluded = {
  type: 'array',
  description: 'addresses and prefixes that are never handed out, such as those of printers and routers',
  items: { type: 'string' },
} as const satisfies Schema

/** `runtimeConfig` of IPAM plugins that take addresses with or without prefix length. */
export const ipsSent = {
  type: 'object',
  description: 'what the runtime sends for the capability `ips`',
  properties: {
    ips: { ...texts, description: 'addresses that the attachment is to get, with or without prefix length' },
  },
} as const satisfies Schema

/** Where a plugin finds the agent of its host, and what they both work on. */
export const agentPlace = {
  agentConfig: {
    type: 'string', default: '/etc/fairlead/agent.json',
    description: 'with `agent: "none"`: the configuration of the agent',
  },
  runDir: {
    type: 'string', default: '/run/cni/fairlead/overlay', description: 'where the agent has its socket and its files',
  },
  dataDir: {
    type: 'string', default: '/var/lib/cni/networks',
    description: 'where addresses are recorded, as host-local does, in a directory per network',
  },
} as const satisfies Record<string, Schema>

/** `args` of IPAM plugins that can be asked for addresses; requested-ips.ts reads it. */
export const ipsInArgs = {
  type: 'object',
  description: 'arguments of the network',
  properties: {
    cni: {
      type: 'object',
      description: 'those that CNI knows',
      properties: { ips: { ...texts, description: 'as `runtimeConfig.ips`, which comes first' } },
    },
  },
} as const satisfies Schema

/** `ipam` of plugins that delegate. */
export const ipam = {
  type: 'object',
  properties: {
    type: { type: 'string', description: 'IPAM plugin; without it the attachment is layer 2 only' },
  },
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
