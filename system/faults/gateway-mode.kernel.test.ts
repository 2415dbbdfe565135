// Faults in a bridge ADD that guards its containers, with a source address of their own.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'bridge',
  bridge: 'test0',
  isGateway: true,
  gatewayMode: { ipv4: 'nat', ipv6: 'routed' },
  snat: { ipv4: '192.0.2.9' },
  icc: false,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]] },
}, { sample: true })
