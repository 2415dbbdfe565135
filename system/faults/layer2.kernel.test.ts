// Faults in a bridge ADD without addresses.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.0.0',
  name: 'faults',
  type: 'bridge',
  bridge: 'test0',
  ipam: {},
})
