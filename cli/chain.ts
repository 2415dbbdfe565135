// The verbs over a whole network: what libcni/api.go of containernetworking/cni does between a runtime and its plugins.
import { execute, findPlugin } from '#cni/delegate.ts'
import { encodeResult } from '#cni/encode.ts'
import { readEnvironment, type Variables } from '#cni/environment.ts'
import { invalidConfig } from '#cni/errors.ts'
import { lookUp, type Json } from '#cni/json.ts'
import { readResult } from '#cni/result.ts'
import { atLeast, oldest, since, type Verb } from '#cni/spec.ts'
import type { Cache } from './cache.ts'
import type { NetworkList, PluginConfig } from './network-list.ts'
import { blaming } from './plugin-failure.ts'
import { attachmentKeys, pluginInput, pluginVariables, type Target } from './request.ts'

export interface ChainSurroundings {
  /** Plugins inherit these. */
  readonly variables: Variables
  /** Directories with plugins. */
  readonly path: readonly string[]
  readonly cache: Cache
  /** Whether the container has the target's interface already. It is asked before ADD. */
  isTaken(target: Target): boolean
  /** Takes what plugins write to stderr. */
  forward(text: string): void
  /** Tells the user something beside the outcome. */
  warn(message: string): void
}

/** The plugins of one network. */
export class Chain {
  readonly #list: NetworkList
  readonly #around: ChainSurroundings

  constructor(list: NetworkList, around: ChainSurroundings) {
    this.#list = list
    this.#around = around
  }

  /**
   * ADD, first plugin to last, and then the record in the cache. When a plugin fails, every plugin is called with DEL,
   * unless the interface, or a record of the attachment, was there before: then it is somebody's who has not failed.
   * @returns the last plugin's result
   * @throws PluginFailure
   */
  add(target: Target): Json {
    this.#admit('ADD', target)
    for (const { type } of this.#list.plugins) blaming(type, () => findPlugin(type, this.#around.path))
    const isNew = !this.#around.cache.has(target) && !this.#around.isTaken(target)
    try {
      let result: Json | undefined
      for (const plugin of this.#list.plugins) result = this.#addOne(plugin, target, result)
      this.#around.cache.write(target, this.#list.bytes, result!)
      return result!
    } catch (error) {
      const { ifName, netns } = target
      if (isNew) this.#takeBack(target, error)
      else this.#around.warn(`DEL was not called: ${ifName} in ${netns}, or a record of it, was there before`)
      throw error
    }
  }

  /** CHECK, first to last. @throws PluginFailure the first one; CniError when cniVersion has no CHECK */
  check(target: Target): void {
    const { name, cniVersion, disableCheck, plugins } = this.#list
    this.#admit('CHECK', target)
    if (!this.#speaks('CHECK')) throw invalidConfig(this.#lack('CHECK'), `it exists since ${since.CHECK}`)
    if (disableCheck) return this.#around.warn(`nothing was checked: disableCheck is set in network ${name}`)
    const previous = this.#around.cache.result(target, cniVersion)
    for (const plugin of plugins) this.#run('CHECK', plugin, attachmentKeys(plugin, target, previous), target)
  }

  /** DEL, last to first, and then the record goes. @throws PluginFailure the first one: no further plugin is called */
  del(target: Target): void {
    this.#admit('DEL', target)
    const previous = this.#cachedIfReadable(target)
    for (const plugin of this.#list.plugins.toReversed()) {
      this.#run('DEL', plugin, attachmentKeys(plugin, target, previous), target)
    }
    this.#around.cache.delete(target)
  }

  /** STATUS, first to last. @throws PluginFailure the first one */
  status(): void {
    if (!this.#speaks('STATUS')) return this.#around.warn(`no plugin was asked: ${this.#lack('STATUS')}`)
    for (const plugin of this.#list.plugins) this.#run('STATUS', plugin, {})
  }

  /**
   * DEL for every attachment of the network in the cache, then GC to every plugin.
   * @param everything tells the plugins that no attachment is valid; otherwise they are not told which are
   * @throws AggregateError of everything that failed
   */
  gc(everything: boolean): void {
    const { name, disableGc, plugins } = this.#list
    if (disableGc) return this.#around.warn(`nothing was collected: disableGC is set in network ${name}`)
    const failures: unknown[] = []
    const attempt = (step: () => void): void => { try { step() } catch (error) { failures.push(error) } }
    for (const target of this.#around.cache.list(name)) attempt(() => this.del(target))
    // The tag of version 1.1.0 calls the key cni.dev/attachments (containernetworking/cni#1101).
    const extra = everything ? { 'cni.dev/valid-attachments': [], 'cni.dev/attachments': [] } : {}
    if (this.#speaks('GC')) for (const plugin of plugins) attempt(() => this.#run('GC', plugin, extra))
    else this.#around.warn(`no plugin was asked: ${this.#lack('GC')}`)
    if (failures.length > 0) throw new AggregateError(failures)
  }

  #speaks(verb: Verb): boolean { return atLeast(this.#list.cniVersion, since[verb]) }

  #lack(verb: Verb): string {
    return `cniVersion ${JSON.stringify(this.#list.cniVersion)} of network ${this.#list.name} has no ${verb}`
  }

  /** Names become parts of paths, so they are checked on every verb. @throws CniError 4 */
  #admit(verb: Verb, target: Target): void {
    readEnvironment(pluginVariables({}, verb, this.#around.path, target))
  }

  /** DEL gets further without a record that cannot be read. */
  #cachedIfReadable(target: Target): Json | undefined {
    if (!atLeast(this.#list.cniVersion, '0.4.0')) return undefined
    try {
      return this.#around.cache.result(target, this.#list.cniVersion)
    } catch (error) {
      this.#around.warn(`cached result ignored: ${error instanceof Error ? error.message : String(error)}`)
      return undefined
    }
  }

  #addOne(plugin: PluginConfig, target: Target, previous: Json | undefined): Json {
    const raw = this.#run('ADD', plugin, attachmentKeys(plugin, target, previous), target) ?? {}
    const version = lookUp(raw, 'cniVersion') || this.#list.cniVersion || oldest
    return blaming(plugin.type, () => encodeResult(readResult(raw, String(version)), String(version)))
  }

  /** @param cause what went wrong before: a plugin that says it again is not repeated */
  #takeBack(target: Target, cause: unknown): void {
    for (const plugin of this.#list.plugins.toReversed()) {
      try {
        this.#run('DEL', plugin, attachmentKeys(plugin, target, undefined), target)
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        if (!(cause instanceof Error && cause.message === text)) this.#around.warn(`clean-up: ${plugin.type}: ${text}`)
      }
    }
  }

  #run(verb: Verb, plugin: PluginConfig, extra: Json, target?: Target): Json | undefined {
    const { variables, path, forward } = this.#around
    return blaming(plugin.type, () => execute(plugin.type, findPlugin(plugin.type, path), verb,
      pluginVariables(variables, verb, path, target), pluginInput(this.#list, plugin, extra), forward))
  }
}
