// What a configuration asks of the ipvlan plugin, decided before anything is touched.
import { invalidConfig } from '#cni/errors.ts'
import { refuseMtu } from '#cni/interface.ts'
import { askedMac } from '#cni/mac.ts'
import { refuseParent } from '#cni/parent.ts'
import type { Result } from '#cni/result.ts'
import type { FromSchema } from '#cni/schema.ts'
import type { schema } from './config.ts'

export type Config = FromSchema<typeof schema>

/** Refuses what no ipvlan link can be. @throws CniError 7 that names the key */
export const refuseContradictions = (config: Config, args: ReadonlyMap<string, string> = new Map()): void => {
  refuseParent(config)
  refuseMtu(config.mtu)
  const asked = askedMac(config, args)
  if (asked === undefined) return
  throw invalidConfig(
    `${asked.key} ${JSON.stringify(asked.value)} cannot be had: ipvlan links have their parent's hardware address`,
    'do not ask for one, or use macvlan',
  )
}

/**
 * In `l3` and `l3s` nobody is asked for a next hop, the kernel routes by the host's table: every route is on-link, and
 * no address has a gateway.
 */
export const routed = ({ mode }: Config, plan: Result): Result => mode === 'l2' ? plan : {
  ...plan,
  ips: plan.ips.map(({ gateway: _gateway, ...ip }) => ip),
  routes: plan.routes.map(({ gw: _gw, ...route }) => route),
}
