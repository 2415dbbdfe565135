// Faults in an ADD of portmap behind bridge: ports of all addresses and of one, of both families.
import { lacks } from '../../tools/kernel.ts'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { bridge } from './bridge.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

const ports = (first: number) => ({
  portMappings: [
    { hostPort: first, containerPort: 80, protocol: 'tcp' },
    { hostPort: first + 1, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
  ],
})

injectFaults({ cniVersion: '1.1.0', name: 'faults', type: 'portmap', runtimeConfig: ports(8080) }, {
  skip: lacks('nft'),
  sample: true,
  behind: bridge,
  neighbour: { runtimeConfig: ports(9080) },
})
