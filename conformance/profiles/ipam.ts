// Plugins that hand out addresses (cni.dev, "IPAM plugins").

import type { Profile } from '../profile.ts'

export const ipam: Readonly<Record<string, Profile>> = {
  'host-local': {
    kind: 'ipam',
    config: {
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.88.0.0/24' }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    dual: {
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.88.0.0/24' }], [{ subnet: 'fd00:88::/64' }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '10.99.0.0/16', gw: '10.88.0.1' }, { dst: '::/0' }],
      },
    },
    twoAddresses: {
      ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/24' }], [{ subnet: '10.88.1.0/24' }]] },
    },
    leaves: {},
    remains: [
      '^directory /var/lib/cni/networks', '/last_reserved_ip\\.\\d+ ', '/lock ',
      '^directory /run/fairlead(/host-local)?$',
    ],
    wrongType: { ipam: { type: 'host-local', ranges: 'all' } },
    invalid: {
      'no range': { ipam: { type: 'host-local' } },
      'subnet with host bits': { ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.1/24' }]] } },
      'subnet too small': { ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/31' }]] } },
    },
    readsArgs: true,
  },
  cluster: {
    kind: 'ipam',
    config: {
      ipam: {
        type: 'cluster', agent: 'none', ranges: [{ subnet: '10.$network.0.0/24' }], routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    dual: {
      ipam: {
        type: 'cluster', agent: 'none',
        ranges: [{ subnet: '10.88.0.0/24' }, { subnet: 'fd00:88::/64' }],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '10.99.0.0/16', gw: '10.88.0.1' }, { dst: '::/0' }],
      },
    },
    leaves: {},
    // What belongs to the host, and not to a container of it: its part in the pool.
    remains: [
      '^directory /var/lib/cni/networks', '/last_reserved_ip\\.\\d+ ', '/lock ',
      '^directory /run/fairlead(/host-local)?$', '^(directory|file) /(run|var/lib)/cni(/fairlead\\b|$)',
    ],
    wrongType: { ipam: { type: 'cluster', ranges: 'all' } },
    invalid: {
      'no range': { ipam: { type: 'cluster' } },
      'subnet with host bits': { ipam: { type: 'cluster', ranges: [{ subnet: '10.88.0.1/24' }] } },
      'subnet too small': { ipam: { type: 'cluster', ranges: [{ subnet: '10.88.0.0/31' }] } },
      'two ranges of a family': {
        ipam: { type: 'cluster', ranges: [{ subnet: '10.88.0.0/24' }, { subnet: '10.89.0.0/24' }] },
      },
    },
    readsArgs: true,
  },
  static: {
    kind: 'ipam',
    config: {
      ipam: {
        type: 'static',
        addresses: [{ address: '10.88.0.5/24', gateway: '10.88.0.1' }],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    dual: {
      ipam: {
        type: 'static',
        addresses: [
          { address: '10.88.0.5/24', gateway: '10.88.0.1' },
          { address: 'fd00:88::5/64', gateway: 'fd00:88::1' },
        ],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '10.99.0.0/16', gw: '10.88.0.1' }, { dst: '::/0' }],
      },
    },
    twoAddresses: { ipam: { type: 'static', addresses: [{ address: '10.88.0.5/24' }, { address: '10.88.1.5/24' }] } },
    wrongType: { ipam: { type: 'static', addresses: 'all' } },
    invalid: {
      'address without prefix length': { ipam: { type: 'static', addresses: [{ address: '10.88.0.5' }] } },
      'no address in an entry': { ipam: { type: 'static', addresses: [{ gateway: '10.88.0.1' }] } },
      'gateway nonsense': { ipam: { type: 'static', addresses: [{ address: '10.88.0.5/24', gateway: 'nonsense' }] } },
      'route nonsense': {
        ipam: { type: 'static', addresses: [{ address: '10.88.0.5/24' }], routes: [{ dst: 'nonsense' }] },
      },
      'dns.search no list': {
        ipam: { type: 'static', addresses: [{ address: '10.88.0.5/24' }], dns: { search: 'example.com' } },
      },
    },
    readsArgs: true,
  },
  dhcp: {
    kind: 'ipam',
    config: { ipam: { type: 'dhcp' } },
    unattachable: 'needs the dhcp daemon and a DHCP server, which this runner does not start',
    wrongType: { ipam: { type: 'dhcp', daemonSocketPath: 5 } },
  },
}
