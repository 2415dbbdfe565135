// Faults in an ADD of vrf behind bridge, with both families. What DEL leaves of routes and addresses goes with the
// interface.
import { kernelLacks } from '../../tools/kernel.ts'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { routedBridge } from './bridge.ts'
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
  behind: routedBridge,
})
