// Plugins that change what earlier plugins made; the world gives them a veth called eth0 and its result.

import type { Profile } from '../profile.ts'

export const chained: Readonly<Record<string, Profile>> = {
  tuning: {
    kind: 'chained',
    config: { sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } },
    needs: ['veth'],
    remains: ['^pod\\d+ sysctl ipv4/conf/eth0/log_martians', '^(directory|file) /run/cni(/tuning)?\\b'],
    wrongType: { mtu: '1400' },
    invalid: { 'sysctl outside net': { sysctl: { 'kernel.domainname': 'conformance' } } },
    readsArgs: true,
  },
  portmap: {
    kind: 'chained',
    config: {
      capabilities: { portMappings: true },
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    },
    counted: 'runtimeConfig.portMappings.0.hostPort',
    needs: ['veth', 'iptables', 'ip6tables'],
    remains: ['^host sysctl .*/route_localnet'],
    leaves: {},
    wrongType: { snat: 'yes' },
    invalid: {
      'hostPort 0': { runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 80, protocol: 'tcp' }] } },
      'hostPort -1': { runtimeConfig: { portMappings: [{ hostPort: -1, containerPort: 80, protocol: 'tcp' }] } },
    },
  },
  firewall: {
    kind: 'chained',
    config: {},
    leaves: {},
    needs: ['veth', 'iptables', 'ip6tables'],
    wrongType: { backend: 5 },
  },
  bandwidth: {
    kind: 'chained',
    config: { ingressRate: 8_000_000, ingressBurst: 80_000, egressRate: 8_000_000, egressBurst: 80_000 },
    needs: ['veth', 'tbf', 'ifb'],
    remains: ['^host qdisc .* on host\\d+ '],
    wrongType: { ingressRate: 'fast' },
    invalid: { 'rate without burst': { ingressBurst: undefined }, 'negative rate': { ingressRate: -1 } },
  },
  sbr: {
    kind: 'chained',
    config: {},
    needs: ['veth'],
    remains: ['^pod\\d+ route .* dev eth0 '],
    wrongType: { table: 'main' },
    invalid: { 'two gateways of one family': { gateways: ['10.79.1.1', '10.79.1.9'] } },
  },
  vrf: {
    kind: 'chained',
    config: { vrfname: 'blue' },
    needs: ['veth', 'vrf'],
    // The interface is about to go; the kernel makes the rules for all VRFs with the first one, and once only.
    remains: ['^pod\\d+ route .* dev eth0 ', '^pod\\d+ address .* on eth0$', '^pod\\d+ rule .*"l3mdev"'],
    wrongType: { table: 'main' },
    invalid: { 'no vrfname': { vrfname: undefined } },
  },
}
