// Faults in an ADD of bandwidth behind bridge, with both directions.
import { kernelLacks } from '../../tools/kernel.ts'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { bridge } from './bridge.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'bandwidth',
  runtimeConfig: {
    bandwidth: { ingressRate: 20_000_000, ingressBurst: 2_000_000, egressRate: 10_000_000, egressBurst: 1_000_000 },
  },
}, {
  skip: kernelLacks('ifb'),
  sample: true,
  behind: bridge,
})
