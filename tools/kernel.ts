// For *.kernel.test.ts: namespaces of one's own, and polite skips.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errnoOf } from '#sys/errno.ts'
import { newNetns } from '#sys/libc.ts'
import { Namespace } from '#net/namespace.ts'
import type { LinkSpec } from '#netlink/route/link.ts'

interface Teardown { teardown(step: () => void): void }

/** Why a test that changes the network and observes with `command` cannot run here, otherwise false. */
export const lacks = (command: string): string | false => {
  if (process.getuid?.() !== 0) return 'needs root'
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0 ? false : `${command} is not installed`
}

/** Moves this thread into a network namespace of its own for the rest of the file; the machine's stays as it is. */
export const ownNamespace = (t: Teardown): Namespace => {
  newNetns()
  const host = Namespace.host()
  t.teardown(() => host[Symbol.dispose]())
  return host
}

/** Another network namespace, held by a bind mount that ends with the test. */
export const anotherNamespace = (t: Teardown): Namespace => {
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-'))
  const path = join(directory, 'netns')
  writeFileSync(path, '')
  const run = spawnSync('unshare', [`--net=${path}`, 'true'], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`unshare: ${run.stderr}`)
  const namespace = Namespace.at(path)
  t.teardown(() => {
    namespace[Symbol.dispose]()
    spawnSync('umount', [path])
    rmSync(directory, { recursive: true, force: true })
  })
  return namespace
}

/** A reason to skip when this kernel was built without a kind of link, otherwise false. */
export const lacksKind = (host: Namespace, kind: NonNullable<LinkSpec['info']>['kind']): string | false => {
  try {
    host.link.add({ name: 'probe0', info: { kind } as NonNullable<LinkSpec['info']> })
  } catch (error) {
    return errnoOf(error) === 'EOPNOTSUPP' ? `this kernel has no ${kind}` : false
  }
  host.link.remove('probe0')
  return false
}

/** What a command prints that is run in a namespace. @throws Error with its words when it fails */
export const output = (namespace: Namespace, command: string, args: readonly string[], input = ''): string => {
  const run = namespace.run(() => spawnSync(command, args, { encoding: 'utf8', input }))
  if (run.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${run.error?.message ?? run.stderr}`)
  return run.stdout
}

/** What an observer that is not us says, as JSON: `ip -j`, `bridge -j`, `nft -j`. */
export const observe = (namespace: Namespace, command: string, ...args: string[]): unknown =>
  JSON.parse(output(namespace, command, args) || '[]')

/** Whether an address answers from within a namespace. */
export const pings = (namespace: Namespace, address: string): boolean =>
  namespace.run(() => spawnSync('ping', ['-c', '1', '-W', '1', address])).status === 0

interface End { readonly ns: Namespace; readonly name: string; readonly addresses: readonly string[]; readonly master?: number }

/** A veth pair between two namespaces, up, with addresses. */
export const connect = (one: End, other: End): void => {
  one.ns.link.add({ name: one.name, master: one.master, up: true, info: { kind: 'veth', peer: { name: other.name, netnsFd: other.ns.fd } } })
  for (const { ns, name, addresses } of [one, other]) {
    const { index } = ns.link.get(name)
    ns.link.set(index, { up: true })
    for (const address of addresses) ns.addr.add({ index, address, noDad: true })
  }
}
