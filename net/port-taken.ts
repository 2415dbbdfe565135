// The refusal of a port that somebody has.
import type { HostPort } from './publication.ts'

/** A host port is in use. `message` says by whom. */
export class PortTaken extends Error {
  override readonly name = 'PortTaken'
  /** As of bind(2): nothing has been made. */
  readonly code = 'EADDRINUSE'
  /** @param how `published by container c2` */
  constructor({ protocol, hostIp, hostPort }: HostPort, how: string) {
    const on = hostIp === undefined ? '' : ` on ${hostIp}`
    super(`hostPort ${hostPort}/${protocol}${on} is ${how}`)
  }
}
