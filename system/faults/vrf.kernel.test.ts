// Faults in an ADD of vrf behind bridge, with both families. What DEL leaves of routes and addresses goes with the
// interface.
import { kernelLacks } from '../../tools/kernel.ts'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'vrf',
  vrfname: 'blue',
}, {
  skip: kernelLacks('vrf'),
  sample: true,
  fleeting: /^(left|lost): pod: (route|address) /,
  behind: {
    cniVersion: '1.1.0',
    name: 'faults',
    type: 'bridge',
    bridge: 'test0',
    isGateway: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    },
  },
})
