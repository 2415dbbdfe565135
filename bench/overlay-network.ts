// What every part of the overlay's benchmark begins with.
import { startEtcd } from '../tools/etcd.ts'
import { fairlead } from '../tools/fleet.ts'
import type { Scope } from './scope.ts'

const address = '192.0.2.254'

/** Where hosts of a fleet find etcd. */
export const store = `http://${address}:2379`

/** Starts etcd on the switch of a fleet and makes a network. */
export async function layNetwork(scope: Scope, network: string, subnet: string): Promise<void> {
  await startEtcd(scope, { host: address })
  fairlead('overlay', 'create', network, '--subnet', subnet, '--store', store)
}
