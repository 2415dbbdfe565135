// For *.kernel.test.ts: namespaces, observers, packets, and polite skips. The namespaces have no names and no holders:
// the kernel takes them away with the process that made them, also after a crash, and tests side by side never meet.
import { spawnSync } from 'node:child_process'
import { errnoOf } from '#sys/errno.ts'
import { Namespace } from '#net/namespace.ts'
import { trySysctl } from '#net/sysctl.ts'
import type { LinkSpec } from '#netlink/route/link.ts'
import { close, open } from '#sys/file.ts'
import { enterNetns, newNetns } from '#sys/libc.ts'

const SELF = '/proc/thread-self/ns/net'

interface Test { teardown(step: () => void): unknown }

const ready = (ns: Namespace): Namespace => {
  ns.link.set(ns.link.get('lo').index, { up: true })
  // Without duplicate address detection IPv6 works from the first packet on.
  ns.run(() => trySysctl('ipv6/conf/default/accept_dad', '0'))
  return ns
}

/** Moves the test into a network namespace of its own, with `lo` up; programs that it starts are in there, too. */
export const ownNamespace = (t: Test): Namespace => {
  newNetns()
  const own = Namespace.host()
  t.teardown(() => own[Symbol.dispose]())
  return ready(own)
}

/** A further network namespace, beside the one that the test is in. */
export const anotherNamespace = (t: Test): Namespace => {
  const home = open(SELF)
  newNetns()
  const fd = open(SELF)
  enterNetns(home)
  close(home)
  const other = Namespace.at(`/proc/${process.pid}/fd/${fd}`)
  t.teardown(() => {
    other[Symbol.dispose]()
    close(fd)
  })
  return ready(other)
}

/** Runs a program inside a namespace and returns what it printed. @throws Error with what it complained about */
export const output = (where: Namespace, command: string, args: readonly string[], input = ''): string => {
  const { error, status, stdout, stderr } = where.run(() => spawnSync(command, args, { input, encoding: 'utf8' }))
  if (error) throw error
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${stderr.trim() || stdout.trim() || `exit ${status}`}`)
  return stdout
}

/** What an observer that is not us says, as JSON: `ip -j`, `bridge -j`, `nft -j`. */
export const observe = (where: Namespace, command: string, ...args: string[]): unknown =>
  JSON.parse(output(where, command, args) || '[]')

/** Whether `address` answers one ping from inside a namespace within a second. */
export const pings = (from: Namespace, address: string): boolean =>
  from.run(() => spawnSync('ping', ['-n', '-c1', '-W1', address])).status === 0

/** Whether a command succeeds in a network namespace that exists for it only. */
const works = (command: string): boolean => spawnSync('unshare', ['-n', ...command.split(' ')]).status === 0

/** The same, asked up to five times: for what the kernel does a moment later, or with a full table of neighbours. */
export const reaches = (from: Namespace, address: string, attempts = 5): boolean =>
  pings(from, address) || attempts > 1 && reaches(from, address, attempts - 1)

/** Reason to skip: we are not root, or the program is not installed, or useless with this kernel. */
export const lacks = (program: string): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `${program} is not installed`
  return program === 'nft' && !works('nft add table inet probe') ? 'this kernel has no nftables for IP' : false
}

/** Reason to skip: this kernel was built without a kind of link. */
export const lacksKind = (host: Namespace, kind: NonNullable<LinkSpec['info']>['kind']): string | false => {
  try {
    host.link.add({ name: 'probe0', info: { kind } as NonNullable<LinkSpec['info']> })
  } catch (error) {
    return errnoOf(error) === 'EOPNOTSUPP' ? `this kernel has no ${kind}` : false
  }
  host.link.remove('probe0')
  return false
}

/** The same, looked at in a namespace for the purpose: for a test as a whole. */
export const kernelLacks = (kind: NonNullable<LinkSpec['info']>['kind']): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  const home = open(SELF)
  newNetns()
  using host = Namespace.host()
  const reason = lacksKind(host, kind)
  enterNetns(home)
  close(home)
  return reason
}

/** Reason to skip: bridges of this kernel know nothing of VLANs. */
export const lacksVlanFiltering = (): string | false =>
  works('ip link add probe0 type bridge vlan_filtering 1') ? false : 'this kernel has no VLAN filtering on bridges'

/** One end of a cable: `master` is the index of the bridge that it is plugged into. */
interface End {
  readonly ns: Namespace
  readonly name: string
  readonly addresses: readonly string[]
  readonly master?: number
}

/** A veth pair between two namespaces, both ends up and with addresses. */
export const connect = (one: End, other: End): void => {
  one.ns.link.add({
    name: one.name, master: one.master, info: { kind: 'veth', peer: { name: other.name, netnsFd: other.ns.fd } },
  })
  for (const { ns, name, addresses } of [one, other]) {
    const { index } = ns.link.get(name)
    ns.link.set(index, { up: true })
    for (const address of addresses) ns.addr.add({ index, address, noDad: address.includes(':') })
  }
}
