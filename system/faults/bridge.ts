// The network behind which chained plugins are tested.
import type { Configuration } from '../host.ts'

const ipam = { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]] }

export const bridge: Configuration =
  { cniVersion: '1.1.0', name: 'faults', type: 'bridge', bridge: 'test0', isGateway: true, ipam }

/** The same with a way out. */
export const routedBridge: Configuration =
  { ...bridge, ipam: { ...ipam, routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] } }
