// What the gateway mode of a container's network makes of its ports: translated, opened at the container's own address,
// or neither. https://docs.docker.com/engine/network/port-publishing/#gateway-modes
import type { Result } from '#cni/result.ts'
import { guardOf, type Guard } from '#net/gateway-mode.ts'
import type { Namespace } from '#net/namespace.ts'
import type { Mapping } from '#net/publication.ts'
import { familyOf } from '#netlink/ip.ts'

/** Ports by what becomes of them; one may be both. */
export interface Exposure {
  /** Reached through ports of the host. */
  readonly translated: readonly Mapping[]
  /** Reached through the container's own address. */
  readonly opened: readonly Mapping[]
}

/** The guard of the network whose links on the host a result names. */
const guardIn = (host: Namespace, { interfaces }: Result): Guard | undefined => {
  for (const { name, sandbox } of interfaces) {
    const guard = sandbox ? undefined : guardOf(host, name)
    if (guard !== undefined) return guard
  }
  return undefined
}

/** A loopback address of the host is for the host alone. */
const isForHostOnly = ({ hostIp = '' }: Mapping): boolean => hostIp.startsWith('127.') || hostIp === '::1'

/** Sorts ports by the gateway mode of the network that `previous` tells of. */
export const exposureOf = (host: Namespace, previous: Result, mappings: readonly Mapping[]): Exposure => {
  const guard = guardIn(host, previous)
  if (guard === undefined) return { translated: mappings, opened: [] }
  const modeOf = ({ containerIp }: Mapping) => guard.modes[familyOf(containerIp)]
  return {
    translated: mappings.filter(mapping => modeOf(mapping) !== 'routed' && modeOf(mapping) !== 'isolated'),
    opened: mappings.filter(mapping => !isForHostOnly(mapping) &&
      (modeOf(mapping) === 'routed' || modeOf(mapping) === 'nat' && guard.trusts)),
  }
}
