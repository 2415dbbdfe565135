// Faults in a tap ADD with both families.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'tap',
  owner: 1001,
  group: 1002,
  multiQueue: true,
  mtu: 1400,
  mac: '02:00:00:00:00:01',
  ipam: {
    type: 'host-local',
    ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  },
}, { sample: true })
