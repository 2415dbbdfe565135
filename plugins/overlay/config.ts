import { agentPlace, dns } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

const texts = { type: 'array', items: { type: 'string' } } as const satisfies Schema

export const schema = {
  type: 'object',
  properties: {
    ranges: {
      type: 'array',
      description: 'what the network is made with if the store has none of its name; usually ' +
        '`fairlead overlay create` has made it, and the key is left out',
      items: {
        type: 'object',
        required: ['subnet'],
        properties: {
          subnet: { type: 'string', description: 'the subnet of all hosts in CIDR notation' },
          blockLength: {
            type: 'integer', minimum: 1, maximum: 126,
            description: 'prefix length of what one host gets of it: 24 and 64, with `addressing: "flat"` 26 and 122',
          },
        },
      },
    },
    addressing: {
      enum: ['hostSubnet', 'flat'],
      description: 'with `ranges`: each host has a subnet of its own (the default), or all share one, in which a ' +
        'container can be given any address on any host',
    },
    vni: {
      type: 'integer', minimum: 1, maximum: 16777215,
      description: 'with `ranges`: the VXLAN network identifier; default: a free one',
    },
    port: { type: 'integer', minimum: 1, maximum: 65535, description: 'with `ranges`: the UDP port; default: 4789' },
    internal: {
      type: 'boolean',
      description: 'with `ranges`: nothing is routed between the network and anything but its hosts',
    },
    encryption: {
      enum: ['none', 'wireguard'],
      description: 'with `ranges`: of packets between hosts; `wireguard` takes the place of VXLAN; default: `none`',
    },
    ipMasq: {
      type: 'boolean', default: false, description: 'traffic that leaves the overlay carries the host\'s address',
    },
    ipMasqBackend: {
      enum: ['nftables', 'iptables'], default: 'nftables', description: 'where the masquerading rules are kept',
    },
    isDefaultGateway: {
      type: 'boolean', default: true,
      description: 'the container\'s default route leads to its host, unless it has one or the network is internal',
    },
    mtu: {
      type: 'integer', minimum: 0, maximum: 65535, default: 0,
      description: 'of the container\'s interface; 0 is what fits through the overlay, and more is refused',
    },
    agent: {
      enum: ['resident', 'none'], default: 'resident',
      description: 'who keeps the host in step: `fairlead agent` as a service, or nobody but each ADD',
    },
    ...agentPlace,
    dns,
    runtimeConfig: {
      type: 'object',
      description: 'what the runtime decides, under `capabilities`',
      properties: {
        mac: { type: 'string', description: 'hardware address (capability `mac`)' },
        ips: { ...texts, description: 'addresses that the attachment is to get (capability `ips`)' },
      },
    },
    args: {
      type: 'object',
      description: 'what the administrator decides per attachment',
      properties: {
        cni: {
          type: 'object',
          properties: {
            mac: { type: 'string', description: 'hardware address' },
            ips: { ...texts, description: 'addresses that the attachment is to get' },
          },
        },
      },
    },
  },
} as const satisfies Schema
