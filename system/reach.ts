// How the tests ask whether an address answers: one echo, one page; strict, without a second try.
import type { Test } from 'tap'
import type { Machine } from './machine.ts'

/** The words that run a command somewhere: `podman exec NAME`, or `busybox` for the machine itself. */
export type Place = readonly string[]

/** The addresses in the output of `ip -o address`. */
export const addressesIn = (shown: string): string[] =>
  [...shown.matchAll(/inet6? ([0-9a-f.:]+)\//g)].flatMap(match => match[1] ?? [])

/**
 * Fetches `http://ADDRESS` + `rest`, which begins with a port or a path.
 * The limit is timeout's: the static busybox of Debian 12 crashes on `wget -T`.
 */
export const fetchPage = (machine: Machine, from: Place, address: string, rest = '/'): string => {
  const host = address.includes(':') ? `[${address}]` : address
  return machine.run(...from, 'timeout', '5', 'wget', '-qO-', `http://${host}${rest}`)
}

/** Waits until a server answers in its own place. */
export const awaitServer = (machine: Machine, place: Place): void => {
  const script = `until ${place.join(' ')} wget -qO /dev/null http://127.0.0.1/; do sleep 0.05; done`
  machine.run('timeout', '10', 'sh', '-c', script)
}

/** Asserts that an address answers an echo request and serves its page. */
export const reaches = (t: Test, machine: Machine, from: Place, address: string): void => {
  const { status, words } = machine.attempt(...from, 'ping', '-c', '1', '-W', '3', address)
  t.equal(status, 0, `${from.join(' ')}: echo from ${address}`, { words })
  t.equal(fetchPage(machine, from, address), 'hello', `${from.join(' ')}: page of ${address}`)
}
