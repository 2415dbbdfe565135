// Where the Go reference plugins deviate from the list, as found by running and reading them.

import type { Deviation } from '../known.ts'

const all = ['ALL']
const makers = ['bridge', 'ptp', 'macvlan', 'ipvlan', 'vlan', 'host-device', 'dummy', 'tap']
const linkFirst = makers.filter(plugin => plugin !== 'ptp' && plugin !== 'dummy')
const passing = makers.filter(plugin => plugin !== 'vlan')
const opening = [...makers, 'loopback', 'sbr', 'vrf']
const ipamFirst = ['macvlan', 'ipvlan', 'ptp', 'vlan', 'host-device']
const others = ['loopback', 'host-local', 'static', 'dhcp', 'tuning', 'portmap', 'firewall', 'bandwidth', 'sbr', 'vrf']

export const reference: readonly Deviation[] = [
  { id: 'X1', reason: 'the error object has no cniVersion', cases: { D07: all } },
  { id: 'X2', reason: 'VERSION ignores stdin and reports the version of its library', cases: { A04: all } },
  { id: 'X3', reason: 'CNI_PATH is demanded although nothing is delegated', cases: { A16: all, A21: all, A23: all } },
  {
    id: 'X4', reason: 'loopback puts the version asked for on a result of 1.x shape',
    cases: { C06: ['loopback'], C10: ['loopback'], E39: ['loopback'] },
  },
  { id: 'X5', reason: 'prevResult is dropped on ADD', cases: { E25: makers } },
  { id: 'X6', reason: 'CHECK of a layer-2 bridge asks for an IPAM plugin', cases: { G12: ['bridge'] } },
  {
    id: 'X7', reason: 'a failed ADD leaves its links behind',
    cases: {
      B24: linkFirst, C26: linkFirst, E08: ['host-device', 'ipvlan', 'vlan'], E09: ['ipvlan'], E15: linkFirst,
      E29: [...linkFirst, 'ptp'], E30: linkFirst, E33: linkFirst,
    },
  },
  { id: 'X8', reason: 'DEL of the delegate is not called when its ADD failed', cases: { E17: makers } },
  {
    id: 'X9', reason: 'DEL runs IPAM first and stops when it fails, so the link stays',
    cases: { F13: ipamFirst, F24: ipamFirst },
  },
  { id: 'X10', reason: 'masquerade rules stay when the namespace is gone', cases: { F10: ['bridge', 'ptp'] } },
  {
    id: 'X11', reason: 'host-device DEL fails without namespace or device',
    cases: {
      F02: ['host-device'], F03: ['host-device'], F04: ['host-device'], F05: ['host-device'], F14: ['host-device'],
      F19: ['host-device'], F21: ['host-device'],
      M06: ['host-device'],
    },
  },
  {
    id: 'X12', reason: 'sbr DEL fails without namespace and creates a file at the missing path',
    cases: { A20: ['sbr'], A33: ['sbr'], F04: ['sbr'], F05: ['sbr'], F06: ['sbr'], F20: ['sbr'] },
  },
  { id: 'X13', reason: 'DEL needs the master link', cases: { F15: ['macvlan', 'vlan'] } },
  {
    id: 'X14', reason: 'dhcp DEL fails when the daemon is down',
    cases: { A20: ['dhcp'], F02: ['dhcp'], F03: ['dhcp'], F04: ['dhcp'], F05: ['dhcp'], F23: ['dhcp'] },
  },
  {
    id: 'X15', reason: 'GC does nothing and is not forwarded',
    cases: { I01: all, I03: all, I05: all, I06: all, I09: all, I10: all, I11: all, I15: all, I16: all },
  },
  {
    id: 'X16', reason: 'STATUS does not look at pools, masters or daemons',
    cases: { H05: ['host-local'], H06: ['dhcp'], H07: ['macvlan', 'ipvlan', 'vlan', 'host-device'] },
  },
  { id: 'X17', reason: 'the namespace is compared after the work is done', cases: { D11: others, E13: all, F17: all } },
  {
    id: 'X18', reason: 'bandwidth without limits and prevResult crashes',
    cases: { D06: ['bandwidth'], D12: ['bandwidth'], K01: ['bandwidth'] },
  },
  {
    id: 'X19', reason: 'portmap 1.1.1 CHECK looks for the rules of the wrong family',
    cases: {
      D03: ['portmap'], F18: ['portmap'], G01: ['portmap'], G14: ['portmap'], G15: ['portmap'], G21: ['bridge'],
      L01: ['portmap'], M01: all, M03: all, M11: all,
    },
  },
  { id: 'X20', reason: 'the IP of CNI_ARGS is added to the one of args', cases: { J11: ['host-local'] } },
  { id: 'X21', reason: '1.1.0 fields are not removed from older results', cases: { C12: all } },
  { id: 'X22', reason: 'mtu and advmss of routes are not installed', cases: { C16: makers } },
  { id: 'X25', reason: 'DEL fails when CNI_NETNS is a plain file', cases: { F07: opening } },
  {
    id: 'X27', reason: 'a layer-2 ADD below 0.3.0 fails after the link has been made',
    cases: { C09: linkFirst },
  },
  { id: 'X28', reason: 'code 0 when the delegate fails without JSON', cases: { D08: passing, E32: passing } },
  {
    id: 'X29', reason: 'the dns of IPAM is lost',
    cases: { E18: ['bridge', 'macvlan', 'ipvlan', 'vlan', 'tap', 'host-device'] },
  },
  { id: 'X30', reason: 'portmap DEL does nothing without portMappings', cases: { F12: ['portmap'] } },
  { id: 'X31', reason: 'unknown fields of prevResult are dropped', cases: { K03: all } },
  { id: 'X32', reason: 'tuning compares MAC addresses as text', cases: { G23: ['tuning'] } },
  { id: 'X33', reason: 'portmap without protocol fails in iptables, in its words', cases: { K13: ['portmap'] } },
  {
    id: 'X34', reason: 'sbr CHECK looks at nothing; loopback and sbr take CHECK without prevResult',
    cases: { G02: ['sbr'], G19: ['sbr'] },
  },
  { id: 'X36', reason: 'the MAC of a bridge without gateway address follows its ports', cases: { G25: ['bridge'] } },
  { id: 'X37', reason: 'the kernel expands %d in CNI_IFNAME and the link stays', cases: { A33: makers } },
  { id: 'X38', reason: 'bandwidth CHECK does not notice a missing ingress qdisc', cases: { G17: ['bandwidth'] } },
  { id: 'X39', reason: 'bridge CHECK does not look at the host side', cases: { G26: ['bridge'] } },
  {
    id: 'X40', reason: 'host-device DEL leaves the original name as ifalias',
    cases: {
      A28: ['host-device'], A32: ['host-device'], D13: ['host-device'], E41: ['host-device'], F01: ['host-device'],
      E42: ['host-device'], F08: ['host-device'], F09: ['host-device'], F20: ['host-device'], F22: ['host-device'],
    },
  },
  {
    id: 'X45', reason: 'a = in a value of CNI_ARGS and a semicolon at its end are refused',
    cases: { L07: ['bridge', 'macvlan', 'tap', 'tuning', 'host-local', 'static'] },
  },
  { id: 'X41', reason: 'iptables is only found through PATH', cases: { A35: ['firewall', 'portmap'] } },
  { id: 'X42', reason: 'sbr 1.1.1 demands cniVersion in prevResult', cases: { C20: ['sbr'], F09: ['sbr'] } },
  { id: 'X43', reason: 'dhcp without ipam crashes', cases: { D06: ['dhcp'], D12: ['dhcp'] } },
  {
    id: 'X44', reason: 'firewall DEL without prevResult removes nothing',
    cases: {
      D13: ['firewall'], F08: ['firewall'], F09: ['firewall'], F11: ['firewall'], F20: ['firewall'], F21: ['firewall'],
      M13: all,
    },
  },
  {
    id: 'X60', reason: 'ptp sees that the name is taken after it has asked IPAM, and its DEL takes the first address',
    cases: { E09: ['ptp'] },
  },
  {
    id: 'X61', reason: 'ptp cannot have two links to one subnet: the routes to the gateway collide',
    cases: { E10: ['ptp'], F18: ['ptp'] },
  },
  {
    id: 'X62', reason: 'the namespace is only opened by plugins that work in it',
    cases: { E12: ['firewall', 'portmap'] },
  },
  {
    id: 'X63', reason: 'the MAC address is not asked for, or not in args',
    cases: {
      E21: ['ptp', 'host-device', 'vlan'], E22: ['ptp', 'host-device', 'macvlan', 'vlan'],
      E23: ['ptp', 'host-device', 'ipvlan', 'vlan'],
    },
  },
  { id: 'X64', reason: 'host-device knows no mtu', cases: { B22: ['host-device'], E24: ['host-device'] } },
  {
    id: 'X65', reason: 'one of several parallel DELs may find the link, rule or chain gone and fail; not in every run',
    cases: { F19: ['bandwidth', 'firewall', 'portmap', 'sbr', ...makers] },
  },
  {
    id: 'X66', reason: 'what a killed ADD leaves is in the way of the next; not in every run',
    cases: { F21: ['bandwidth', 'sbr', ...makers] },
  },
  {
    id: 'X69', reason: 'host-local killed between making a record and writing it leaves it empty; not in every run',
    cases: { F21: ['host-local'] },
  },
  {
    id: 'X67', reason: 'DEL refuses a configuration that ADD would',
    cases: { F29: ['bandwidth', 'bridge', 'host-device', 'host-local', 'macvlan', 'portmap', 'vlan', 'vrf'] },
  },
  {
    id: 'X68', reason: 'CHECK misses routes whose gateway was filled in on ADD',
    cases: { G01: ['bridge', 'ptp', 'macvlan', 'host-device', 'ipvlan', 'vlan'] },
  },
  { id: 'X80', reason: 'static CHECK passes when the address is absent', cases: { J29: ['static'] } },
  { id: 'X81', reason: 'the IP of CNI_ARGS is added to the configured addresses', cases: { J30: ['static'] } },
  { id: 'X82', reason: 'addresses asked for have no gateway', cases: { J31: ['static'] } },
  { id: 'X83', reason: 'iptables refuses a port above 65535, and its chains stay', cases: { K12: ['portmap'] } },
  {
    id: 'X84', reason: 'rules are made for every address of prevResult, the host\'s as well',
    cases: { K15: ['firewall'] },
  },
  {
    id: 'X85', reason: 'sysctls are written before all of them have been looked at; not in every run',
    cases: { K20: ['tuning'] },
  },
  { id: 'X87', reason: 'tuning DEL leaves sysctls as they are', cases: { F30: ['tuning'] } },
  { id: 'X86', reason: 'sbr 1.1.1 knows neither table nor gateways', cases: { B20: ['sbr'], B22: ['sbr'] } },
  { id: 'X70', reason: 'any mtu is taken', cases: { B22: ['ptp', 'ipvlan'] } },
  {
    id: 'X71', reason: 'CNI_ARGS is not read',
    cases: Object.fromEntries(['L02', 'L03', 'L04', 'L05', 'L08']
      .map(id => [id, ['ptp', 'host-device', 'ipvlan', 'vlan']])),
  },
  { id: 'X72', reason: 'there are no layer-2 attachments', cases: { G12: ['ptp', 'ipvlan', 'vlan'] } },
  { id: 'X75', reason: 'vrf DEL fails when the interface has gone', cases: { A33: ['vrf'], F19: ['vrf'] } },
  { id: 'X76', reason: 'vrf CHECK is content with an interface in no VRF', cases: { G19: ['vrf'] } },
  { id: 'X73', reason: 'the lease stays when a route is refused', cases: { E16: ['ipvlan'] } },
  { id: 'X74', reason: 'the delegate\'s error is wrapped', cases: { E31: ['vlan'] } },
]
