// loopback: brings lo up, whatever CNI_IFNAME is. containerd calls it for every pod, others inside chains.
import { expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { CniError } from '#cni/errors.ts'
import { noResult, type Dns, type Result } from '#cni/result.ts'
import { lowerLoopback, raiseLoopback, readLoopback } from '#net/loopback.ts'
import type { Namespace } from '#net/namespace.ts'
import { validate } from '#build/validators/loopback.js'
import { schema } from './config.ts'

/** lo, with the first address of each family. */
const describe = (pod: Namespace, dns: Dns): Result => {
  const { link, addresses, foreign } = readLoopback(pod)
  if (foreign.length > 0) {
    throw new CniError(
      'alreadyAttached',
      `lo has ${foreign[0]}, which is no loopback address`,
      'another network uses lo: remove the address',
    )
  }
  const first = [addresses.find(address => !address.includes(':')), addresses.find(address => address.includes(':'))]
  return {
    ...noResult,
    dns,
    interfaces: [{ name: 'lo', mac: link.address, mtu: link.mtu, sandbox: pod.path }],
    ips: first.filter(address => address !== undefined).map(address => ({ address, interface: 0 })),
  }
}

export const loopback = driver({
  name: 'loopback',
  kind: 'interface',
  schema,
  validate,

  add({ config, pod, previous, undo }) {
    raiseLoopback(pod, undo)
    return previous ?? describe(pod, config.dns ?? {})
  },

  check({ pod, previous }) {
    requirePrevious(previous)
    expect('state of lo', readLoopback(pod).link.up ? 'up' : 'down', 'up')
  },

  del({ pod }) { if (pod) lowerLoopback(pod) },

  status() {},
  gc() {},
})
