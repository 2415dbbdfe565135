// Faults in an ADD of tuning behind bridge, with all that it can set.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { bridge } from './bridge.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'tuning',
  mac: '02:00:00:00:00:01',
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 77,
  sysctl: { 'net.core.somaxconn': '99', 'net.ipv4.conf.IFNAME.arp_filter': '1', 'net.ipv6.conf.IFNAME.hop_limit': '7' },
}, {
  sample: true,
  behind: bridge,
})
