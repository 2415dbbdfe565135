// Faults in a bridge ADD with both families, gateway and default routes.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.0.0',
  name: 'faults',
  type: 'bridge',
  bridge: 'test0',
  isDefaultGateway: true,
  ipam: {
    type: 'host-local',
    ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]],
    routes: [{ dst: '192.0.2.0/24' }, { dst: '2001:db8::/32' }],
  },
}, { sample: true })
