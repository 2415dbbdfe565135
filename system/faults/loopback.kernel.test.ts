// Faults in a loopback ADD.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.0.0',
  name: 'faults',
  type: 'loopback',
})
