// Faults in an ADD of firewall behind bridge, with all that it has for an attachment.
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { bridge } from './bridge.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

injectFaults({
  cniVersion: '1.1.0',
  name: 'faults',
  type: 'firewall',
  backend: 'nftables',
  ingressPolicy: 'isolated',
}, {
  sample: true,
  behind: bridge,
})
