// none: a container with lo and nothing else, as `docker run --network none`.
import { broken, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { invalidConfig } from '#cni/errors.ts'
import { noResult } from '#cni/result.ts'
import { create } from '#net/creation.ts'
import { lowerLoopback, raiseLoopback, readLoopback } from '#net/loopback.ts'
import type { Namespace } from '#net/namespace.ts'
import { readSysctl, trySysctl } from '#net/sysctl.ts'
import { validate } from '#build/validators/none.js'
import { schema } from './config.ts'

const DISABLE_IPV6 = 'ipv6/conf/lo/disable_ipv6'

/** What some kernels put into every new namespace, down: net.core.fb_tunnels_only_for_init_net. */
const fallbacks = ['tunl0', 'sit0', 'gre0', 'gretap0', 'erspan0', 'ip_vti0', 'ip6_vti0', 'ip6tnl0', 'ip6gre0']

const others = (pod: Namespace): string =>
  pod.link.list().filter(({ name, up }) => name !== 'lo' && (up || !fallbacks.includes(name)))
    .map(({ name }) => name).join(', ')

export const none = driver({
  name: 'none',
  kind: 'interface',
  schema,
  validate,

  add({ config, pod, previous, undo }) {
    if (previous) {
      throw invalidConfig('none cannot follow another plugin', 'a container that is on no network needs no chain')
    }
    const found = others(pod)
    if (found !== '') {
      throw invalidConfig(`the namespace has ${found}`, 'network none is for a namespace with nothing but lo')
    }

    const before = pod.run(() => readSysctl(DISABLE_IPV6))
    const set = (value: string): void => pod.run(() => trySysctl(DISABLE_IPV6, value))
    create(undo, 'IPv6 of lo', () => { if (before !== undefined) set(before) }, () => set(config.ipv6 ? '0' : '1'))
    raiseLoopback(pod, undo)

    const { link, addresses } = readLoopback(pod)
    return {
      ...noResult,
      dns: config.dns ?? {},
      interfaces: [{ name: 'lo', mac: link.address, mtu: link.mtu, sandbox: pod.path }],
      ips: addresses.map(address => ({ address, interface: 0 })),
    }
  },

  check({ pod, previous }) {
    requirePrevious(previous)
    expect('state of lo', readLoopback(pod).link.up ? 'up' : 'down', 'up')
    const found = others(pod)
    if (found !== '') throw broken(`the namespace has ${found} beside lo`)
  },

  del({ pod }) {
    if (!pod) return
    lowerLoopback(pod)
    pod.run(() => trySysctl(DISABLE_IPV6, '0')) // as a new namespace has it
  },

  status() {},
  gc() {},
})
