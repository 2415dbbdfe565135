// Faults in an ipvlan ADD on a VLAN that is made for it.
import { kernelLacks } from '../../tools/kernel.ts'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'ipvlan',
  master: 'up0',
  vlan: 50,
  mode: 'l3s',
  ipam: {
    type: 'host-local',
    ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  },
}, { skip: kernelLacks('ipvlan') || kernelLacks('vlan'), sample: true })
