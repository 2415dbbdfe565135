// Faults in an ADD of sbr behind bridge, with both families. What DEL is not told of the default routes goes with the
// interface.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { routedBridge } from './bridge.ts'
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
  behind: routedBridge,
})
