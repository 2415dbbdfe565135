// Faults in a bridge ADD with macspoofchk.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.0.0',
  name: 'faults',
  type: 'bridge',
  bridge: 'test0',
  macspoofchk: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }]] },
}, { sample: true })
