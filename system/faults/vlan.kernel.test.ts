// Faults in a vlan ADD with both families.
import { kernelLacks } from '../../tools/kernel.ts'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'vlan',
  master: 'up0',
  vlanId: 5,
  ipam: {
    type: 'host-local',
    ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  },
}, { skip: kernelLacks('vlan'), sample: true })
