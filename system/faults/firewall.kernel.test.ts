// Faults in an ADD of firewall behind bridge, with all that it has for an attachment.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'firewall',
  backend: 'nftables',
  ingressPolicy: 'isolated',
}, {
  sample: true,
  behind: {
    cniVersion: '1.1.0',
    name: 'faults',
    type: 'bridge',
    bridge: 'test0',
    isGateway: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]] },
  },
})
