// Runs a list of plugins as libcni does (containernetworking/cni, libcni/api.go and conf.go), quirks included.

import type { Reply } from './call.ts'
import { Failure } from './expect.ts'
import { isObject, type JsonObject } from './json.ts'
import type { Pod } from './pod.ts'
import { isAtLeast } from './versions.ts'
import type { World } from './world.ts'

export interface NetworkList {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly JsonObject[]
}

/** The pairs that the runtimes of Kubernetes put into CNI_ARGS, in an order that none of them keeps to. */
export const kubernetesArgs: readonly string[] =
  ['K8S_POD_NAMESPACE=default', 'K8S_POD_NAME=web-0', 'K8S_POD_INFRA_CONTAINER_ID=0a1b2c', 'K8S_POD_UID=5f-6e']

/** What a runtime knows about one attachment. */
export interface Attachment {
  readonly pod: Pod
  readonly ifname?: string
  /** Values by capability; a plugin gets those that its entry asks for. */
  readonly capabilities?: JsonObject
  /** CNI_ARGS. */
  readonly args?: string
}

/** Keys in the order in which Go prints a map. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.keys(value).sort().map(key => [key, sorted(value[key])]))
}

/** The members of a result that libcni's types know; all others are lost when it prints the result again. */
const fields: Readonly<Record<string, readonly string[]>> = {
  interfaces: ['name', 'mac', 'mtu', 'sandbox', 'socketPath', 'pciID'],
  ips: ['version', 'interface', 'address', 'gateway'],
  routes: ['dst', 'gw', 'mtu', 'advmss', 'priority', 'table', 'scope'],
}

/** A result as libcni hands it on: parsed into its types and printed again. */
export const retyped = (result: JsonObject, version: string): JsonObject => {
  if (!isAtLeast(version, '0.3.0')) return { ...result, cniVersion: version }
  const lists = Object.entries(fields).flatMap(([key, known]) => {
    const list = result[key]
    if (!Array.isArray(list) || list.length === 0) return []
    const entries = list.filter(isObject).map(entry => {
      const present = known.filter(field => field in entry && entry[field] !== '')
      return Object.fromEntries(present.map(field => [field, entry[field]]))
    })
    return [[key, entries]]
  })
  return { cniVersion: version, ...Object.fromEntries(lists), dns: result['dns'] ?? {} }
}

/**
 * The bytes for one plugin of a list: name and version of the list, prevResult and the capabilities that the entry asks
 * for; sorted keys on one line. `capabilities` itself stays, although the specification has the runtime remove it.
 */
export const request = (
  list: NetworkList, plugin: JsonObject, prevResult?: JsonObject, capabilities: JsonObject = {}, more: JsonObject = {},
): string => {
  const asked = isObject(plugin['capabilities']) ? plugin['capabilities'] : {}
  const runtimeConfig = Object.fromEntries(Object.entries(capabilities).filter(([name]) => asked[name] === true))
  return JSON.stringify(sorted({
    ...plugin,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(prevResult && { prevResult: retyped(prevResult, list.cniVersion) }),
    ...(Object.keys(runtimeConfig).length > 0 && { runtimeConfig }),
    ...more,
  }))
}

/** Thrown when a plugin of a list fails; the plugins after it have not been run. */
export class ListError extends Failure {
  readonly reply: Reply
  constructor(plugin: string, reply: Reply) {
    super(`${reply.verb} of ${plugin}: ${(reply.stdout || reply.stderr).trim()}`)
    this.reply = reply
  }
}

/** One runtime on the world's host, with its cache of results and configurations. */
export class Runtime {
  /** The directory that plugins are run from. */
  bin: string
  readonly #world: World
  readonly #cache = new Map<string, { readonly attachment: Attachment; readonly result: JsonObject }>()

  constructor(world: World) {
    this.bin = world.subject.bin
    this.#world = world
  }

  #key(list: NetworkList, { pod, ifname = 'eth0' }: Attachment): string {
    return `${list.name}-${pod.id}-${ifname}`
  }

  #run(
    verb: string, plugin: JsonObject, stdin: string, attachment?: Attachment, netns = attachment?.pod.netns.path,
  ): Reply {
    const type = String(plugin['type'])
    const { pod, ifname = 'eth0', args = '' } = attachment ?? {}
    const executable = `${this.bin}/${type}`
    const CNI_PATH = `${this.#world.stubs}:${this.bin}`
    const env = pod ? { CNI_PATH, CNI_IFNAME: ifname, CNI_ARGS: args, CNI_NETNS: netns ?? '' } : { CNI_PATH }
    const reply = this.#world.call(verb, { stdin, executable, env, ...(pod && { pod }) })
    if (reply.status !== 0) throw new ListError(type, reply)
    return reply
  }

  /** ADD of each plugin in turn. Stops at the first error and, as libcni, undoes nothing. Returns the final result. */
  add(list: NetworkList, attachment: Attachment): JsonObject {
    let result: JsonObject | undefined
    for (const plugin of list.plugins) {
      const stdin = request(list, plugin, result, attachment.capabilities)
      result = JSON.parse(this.#run('ADD', plugin, stdin, attachment).stdout) as JsonObject
    }
    const final = retyped(result ?? {}, list.cniVersion)
    this.#cache.set(this.#key(list, attachment), { attachment, result: final })
    return final
  }

  /** CHECK of each plugin with the final result of ADD. */
  check(list: NetworkList, attachment: Attachment): void {
    const cached = this.#cache.get(this.#key(list, attachment))
    for (const plugin of list.plugins)
      this.#run('CHECK', plugin, request(list, plugin, cached?.result, attachment.capabilities), attachment)
  }

  /** DEL in reverse order; stops at the first error. prevResult goes along from 0.4.0 on, if it is in the cache. */
  del(list: NetworkList, attachment: Attachment, netns = attachment.pod.netns.path): void {
    const cached = isAtLeast(list.cniVersion, '0.4.0') ? this.#cache.get(this.#key(list, attachment)) : undefined
    for (const plugin of [...list.plugins].reverse())
      this.#run('DEL', plugin, request(list, plugin, cached?.result, attachment.capabilities), attachment, netns)
    this.#cache.delete(this.#key(list, attachment))
  }

  /** Forgets every result, as after a reboot. */
  forget(): void {
    this.#cache.clear()
  }

  status(list: NetworkList): void {
    for (const plugin of list.plugins) this.#run('STATUS', plugin, request(list, plugin))
  }

  /**
   * GC: DEL for every cached attachment of the network that is not valid, then GC of each plugin. `null` is what a nil
   * slice becomes; `undefined` leaves the keys out, as cnitool does.
   */
  gc(list: NetworkList, valid: readonly Attachment[] | null | undefined): void {
    const keys = new Set((valid ?? []).map(attachment => this.#key(list, attachment)))
    for (const [key, { attachment }] of this.#cache)
      if (key.startsWith(`${list.name}-`) && !keys.has(key)) this.del(list, attachment)
    const attachments = valid && valid.map(({ pod, ifname = 'eth0' }) => ({ containerID: pod.id, ifname }))
    const more = attachments === undefined
      ? {} : { 'cni.dev/attachments': attachments, 'cni.dev/valid-attachments': attachments }
    for (const plugin of list.plugins) this.#run('GC', plugin, request(list, plugin, undefined, {}, more))
  }

  /** VERSION of each plugin with the dummy environment of libcni; throws unless the list's version is among them. */
  validate(list: NetworkList): void {
    const dummy = { CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_PATH: 'dummy', CNI_CONTAINERID: '', CNI_ARGS: '' }
    for (const plugin of list.plugins) {
      const executable = `${this.bin}/${String(plugin['type'])}`
      const stdin = `{"cniVersion":"${list.cniVersion}"}`
      const reply = this.#world.call('VERSION', { executable, env: dummy, stdin })
      const { supportedVersions } = JSON.parse(reply.stdout || '{}') as { supportedVersions?: unknown }
      if (!Array.isArray(supportedVersions) || !supportedVersions.includes(list.cniVersion))
        throw new ListError(String(plugin['type']), reply)
    }
  }
}
