// Attachments as GC lists them, and what each of them holds on the host (SPEC.md 1.1.0, section 2, "GC").

import { apart } from './apart.ts'
import type { Reply } from './call.ts'
import { Skip } from './case.ts'
import { must, resultOf, succeeds } from './expect.ts'
import { stateDirectories } from './isolation.ts'
import type { JsonObject } from './json.ts'
import type { Pod } from './pod.ts'
import { addressesOf, type Result } from './result.ts'
import { takeSnapshot } from './snapshot.ts'
import type { World } from './world.ts'

export interface Attached {
  readonly pod: Pod
  readonly ifname: string
  readonly network: string
  readonly result: Result
  /** Keys that the attachment has beside those of all. */
  readonly own: JsonObject
  /** Its container id and addresses: what the state of the host calls it. */
  readonly words: readonly string[]
  /** Number of lines of the host's state that named it right after ADD. */
  readonly traces: number
}

/** The firewall rules and files of the host that have one of these words. */
const traces = (world: World, words: readonly string[]): string[] => {
  const any = words.map(word => word.replaceAll('.', String.raw`\.`)).join('|')
  const line = new RegExp(String.raw`^(host (nft|ip6?tables) |file ).*(?<![\w.:])(${any})(?![\w:]|\.\w)`)
  const directories = [...stateDirectories, ...(world.subject.profile.state ?? [])]
  const state = takeSnapshot([world.host], directories, path => path.startsWith('/run/conformance'))
  return state.filter(text => line.test(text))
}

/** Keys over the valid configuration under which an attachment leaves something for GC to find. */
const leaving = (world: World): JsonObject => world.subject.profile.leaves ?? {}

/** An ADD that has to succeed, of a pod of its own unless one is given. */
export const attach = (
  world: World, { pod = world.addPod(), ifname = 'eth0', network = world.network }: Partial<Attached> = {},
): Attached => {
  world.requireAttach()
  const [attempt] = apart(world, [{}], world.attachments++)
  const own = attempt?.config ?? {}
  const config = { ...leaving(world), ...own, name: network }
  const result = resultOf(world.call('ADD', { pod, config, env: { CNI_IFNAME: ifname } }))
  const words = [pod.id, ...addressesOf(result)]
  return { pod, ifname, network, result, own, words, traces: traces(world, words).length }
}

/** Both keys that libcni sends, with these attachments in them. */
export const listing = (...attachments: readonly Attached[]): JsonObject => {
  const list = attachments.map(({ pod, ifname }) => ({ containerID: pod.id, ifname }))
  return { 'cni.dev/attachments': list, 'cni.dev/valid-attachments': list }
}

/** GC of the network under which attach() attaches, with `keys` over the configuration. */
export const collect = (world: World, keys: JsonObject): Reply =>
  world.call('GC', { config: { ...leaving(world), ...keys } })

/** Everything that the attachment held is there, and CHECK is content. */
export const survives = (world: World, attached: Attached): void => {
  const { pod, ifname, network, result, own, words } = attached
  const left = traces(world, words)
  const complete = left.length === attached.traces
  must(complete, `of ${attached.traces} traces of ${pod.id} ${ifname} are left:\n${left.join('\n')}`)
  const prevResult = { cniVersion: world.subject.version, ...result }
  const config = { ...leaving(world), ...own, name: network, prevResult }
  succeeds(world.call('CHECK', { pod, config, env: { CNI_IFNAME: ifname } }))
}

/** Nothing on the host names the attachment. */
export const isCollected = (world: World, { pod, ifname, words }: Attached): void => {
  const left = traces(world, words)
  must(left.length === 0, `GC leaves of ${pod.id} ${ifname}:\n${left.join('\n')}`)
}

/** Ends the case as skipped when attachments of this plugin leave nothing that GC could take away. */
export const requireTraces = (world: World, attached: Attached): void => {
  if (attached.traces > 0) return
  must(world.plugin !== 'host-local', 'ADD leaves no reservation on the host')
  throw new Skip(`attachments of ${world.plugin} leave nothing on the host that GC could take away`)
}
