// Faults in an ADD of sbr behind bridge, with both families. What DEL is not told of the default routes goes with the
// interface.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'sbr',
  addSourceHints: true,
}, {
  sample: true,
  fleeting: /^lost: pod: route default /,
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
