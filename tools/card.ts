// For *.kernel.test.ts of drivers that take devices of the host. The card is one end of a veth pair, which differs from
// hardware in one thing: it ends with the namespace that it is in, where a card returns to the host.
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { anotherNamespace, connect, observe } from './kernel.ts'

interface Test { teardown(step: () => void): unknown }

/** A device of the host, up, with an alias, another MTU than usual, and a neighbour at the end of its cable. */
export const plug = (t: Test, host: Namespace, name: string, address: string): Namespace => {
  const outside = anotherNamespace(t)
  const there = { ns: outside, name: 'far0', addresses: ['10.1.2.250/24', 'fd00:1::fa/64'] }
  connect({ ns: host, name, addresses: [] }, there)
  host.link.set(host.link.get(name).index, { up: false, address })
  host.link.set(host.link.get(name).index, { up: true, mtu: 1450, alias: 'rack 4, port "7" (ü)' })
  return outside
}

/** What people see of the host's links, marks included. */
export const seen = (host: Namespace): readonly Json[] =>
  (observe(host, 'ip', '-j', 'link', 'show') as Json[]).map(({ ifname, flags, mtu, address, ifalias, altnames }) =>
    ({ ifname, up: (flags as string[]).includes('UP'), mtu, address, ifalias, altnames }))

/** What the kernel does to a card when its namespace ends: it goes to the host under its name, or another. */
export const endOfNamespace = (pod: Namespace, host: Namespace, current: string, name = current): void => {
  pod.link.set(pod.link.get(current).index, { netnsFd: host.fd, name })
}
