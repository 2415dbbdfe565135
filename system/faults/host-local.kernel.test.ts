// Faults in a host-local ADD by itself.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.0.0',
  name: 'faults',
  type: 'host-local',
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]] },
})
