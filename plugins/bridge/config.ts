import { dns, ipam, macSources } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

const mode = { enum: ['nat', 'nat-unprotected', 'routed', 'isolated'] } as const satisfies Schema

const vid = { type: 'integer', minimum: 1, maximum: 4094 } as const satisfies Schema

export const schema = {
  type: 'object',
  properties: {
    bridge: {
      type: 'string', pattern: '^[^\\s/:%"*\\\\]{1,15}$', default: 'cni0',
      description: 'name of the bridge on the host: 1 to 15 characters, no white space and none of / : % " * \\; ' +
        'created when there is none',
    },
    isGateway: {
      type: 'boolean', default: false,
      description: 'the bridge gets the gateway\'s address, and the host forwards',
    },
    isDefaultGateway: {
      type: 'boolean', default: false,
      description: 'the gateway is also the container\'s default route; implies `isGateway`',
    },
    forceAddress: {
      type: 'boolean', default: false,
      description: 'replace another IPv4 address (or overlapping IPv6 address) that the bridge has',
    },
    ipMasq: {
      type: 'boolean',
      description: 'traffic that leaves the subnet carries the host\'s address; ' +
        'default: whether `gatewayMode` says nat; never in other modes',
    },
    ipMasqBackend: {
      enum: ['nftables', 'iptables'], default: 'nftables',
      description: 'where the masquerading rules are kept',
    },
    snat: {
      type: 'object', description: 'the address that it carries instead; with the nftables backend',
      properties: {
        ipv4: { type: 'string', description: 'an IPv4 address of the host' },
        ipv6: { type: 'string', description: 'an IPv6 address of the host' },
      },
    },
    gatewayMode: {
      type: 'object', description: 'what of the containers can be reached through the host; default: everything',
      properties: {
        ipv4: { ...mode, description: 'for IPv4, see below' },
        ipv6: { ...mode, description: 'for IPv6' },
      },
    },
    trustedInterfaces: {
      type: 'array', items: { type: 'string', pattern: '^[^\\s/:%"*\\\\]{1,15}$' },
      description: 'links of the host behind which published ports of a `nat` network are reached ' +
        'through the container\'s own address, too',
    },
    icc: {
      type: 'boolean', default: true,
      description: 'containers of this network reach each other; without, each reaches the gateway and what is beyond',
    },
    internal: {
      type: 'boolean', default: false,
      description: 'no way out and none in: the host forwards nothing from or to the bridge',
    },
    mtu: {
      type: 'integer', minimum: 0, maximum: 65535, default: 0,
      description: 'of both ends of the link and of a bridge that is created; 0 is the kernel\'s default',
    },
    hairpinMode: {
      type: 'boolean', default: false,
      description: 'the bridge may send a frame back through the port it came from',
    },
    promiscMode: { type: 'boolean', default: false, description: 'the bridge takes in every frame' },
    vlan: { type: 'integer', minimum: 0, maximum: 4094, default: 0, description: 'VLAN of the container; 0 is none' },
    vlanTrunk: {
      type: 'array',
      description: 'VLANs that reach the container tagged: `{"id": 100}`, `{"minID": 200, "maxID": 210}`',
      items: { type: 'object', properties: { id: vid, minID: vid, maxID: vid } },
    },
    preserveDefaultVlan: {
      type: 'boolean', default: false,
      description: 'the port stays in the bridge\'s default VLAN too',
    },
    macspoofchk: {
      type: 'boolean', default: false,
      description: 'frames from the container need its hardware address as their source',
    },
    portIsolation: {
      type: 'boolean', default: false,
      description: 'on layer 2 containers of this network reach the gateway only, not each other; ' +
        'what the host routes is the firewall\'s business',
    },
    enabledad: { type: 'boolean', default: false, description: 'wait for IPv6 duplicate address detection' },
    disableContainerInterface: {
      type: 'boolean', default: false,
      description: 'leave the container\'s interface down; only without `ipam`',
    },
    ipam,
    dns,
    ...macSources,
  },
} as const satisfies Schema
