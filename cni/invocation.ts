// One invocation is a function of its environment, its stdin and its driver; nothing of it is kept.
import { status, type FileStatus } from '#sys/file.ts'
import { Namespace } from '#net/namespace.ts'
import { readArgs } from './args.ts'
import { Cleanup } from './cleanup.ts'
import { decodeConfig, salvaged, validated, type NetworkConfig } from './config.ts'
import { execute, findPlugin } from './delegate.ts'
import type { AnyDriver, Call, Driver } from './driver.ts'
import { encodeResult } from './encode.ts'
import { invalidConfig } from './errors.ts'
import { readEnvironment, type Environment, type Variables } from './environment.ts'
import { Ipam, ipamType, type Delegation } from './ipam.ts'
import { forbiddenNetns, isForbiddenNetns, openPod, openPodIfThere } from './netns.ts'
import { readPrevious, type Result } from './result.ts'
import type { Json } from './json.ts'
import type { Verb } from './spec.ts'
import { Undo } from './undo.ts'
import { readValidAttachments } from './valid-attachments.ts'

/** What surrounds an invocation. */
export interface Surroundings {
  readonly variables: Variables
  /** The bytes on stdin; asked for only when the environment is in order. */
  stdin(): Uint8Array
  /** Takes the result of an ADD. When it throws, nobody has the result, and what was made is taken back. */
  deliver(result: Json): void
  /** The running executable; a delegate that is the same file is called in this process. */
  readonly executable: FileStatus | undefined
  /** The driver of a plugin name, when the executable contains it. */
  resident(name: string): AnyDriver | undefined
  warn(message: string): void
}

/** A namespace that is opened when first asked for. */
class LazyNamespace implements Disposable {
  readonly #open: () => Namespace
  #namespace: Namespace | undefined
  constructor(open: () => Namespace) { this.#open = open }
  get(): Namespace { return this.#namespace ??= this.#open() }
  [Symbol.dispose](): void { this.#namespace?.[Symbol.dispose]() }
}

const isRunning = (file: string, executable: FileStatus | undefined): boolean => {
  const found = executable && status(file)
  return found !== undefined && found.device === executable?.device && found.inode === executable.inode
}

const delegation = (
  { path }: Environment, around: Surroundings, where: 'on CNI_PATH' | 'of this executable' = 'on CNI_PATH',
): Delegation => {
  const find = (type: string): { readonly file: string; readonly resident: AnyDriver | undefined } => {
    const own = where === 'of this executable' ? around.resident(type) : undefined
    if (own !== undefined) return { file: '', resident: own }
    const file = findPlugin(type, path)
    const isOurs = isRunning(file, around.executable)
    const resident = isOurs ? around.resident(type) : undefined
    if (isOurs && resident?.kind !== 'ipam') {
      throw invalidConfig(`ipam.type ${JSON.stringify(type)} is no IPAM plugin`, 'host-local is one')
    }
    return { file, resident }
  }
  const run = (type: string, verb: Verb): Json | undefined => {
    const { file, resident } = find(type)
    if (resident === undefined) return execute(type, file, verb, around.variables, around.stdin(), around.warn)
    let result: Json | undefined
    const variables = { ...around.variables, CNI_COMMAND: verb }
    invoke(resident, { ...around, variables, deliver: made => { result = made } })
    return result
  }
  return { find, run }
}

/** DEL gets further without a prevResult that cannot be read. */
const previousIfReadable = ({ raw, cniVersion }: NetworkConfig, warn: Surroundings['warn']): Result | undefined => {
  try {
    return readPrevious(raw, cniVersion)
  } catch (error) {
    warn(`prevResult ignored: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

/**
 * One verb at work: what it was called with, and the driver that does it. Every verb but ADD is handed on to the IPAM
 * plugin here; on ADD the driver says when.
 */
class Invocation implements Disposable {
  readonly #driver: Driver
  readonly #around: Surroundings
  readonly #environment: Environment
  readonly #network: NetworkConfig
  readonly #host = new LazyNamespace(() => Namespace.host())
  readonly #ipam: Ipam

  constructor(driver: Driver, around: Surroundings) {
    this.#driver = driver
    this.#around = around
    this.#environment = readEnvironment(around.variables)
    this.#network = decodeConfig(around.stdin(), this.#environment.verb)
    const { raw, cniVersion } = this.#network
    const type = driver.kind === 'interface' ? ipamType(raw) : undefined
    this.#ipam = new Ipam(type, cniVersion, delegation(this.#environment, around))
  }

  run(): void {
    switch (this.#environment.verb) {
      case 'ADD': return this.#add()
      case 'CHECK': return this.#check()
      case 'DEL': return this.#del()
      case 'STATUS': return this.#status()
      case 'GC': return this.#gc()
    }
  }

  [Symbol.dispose](): void { this.#host[Symbol.dispose]() }

  get #isForbidden(): boolean { return !this.#driver.sharesHost && isForbiddenNetns(this.#environment) }

  #validated(): never { return validated(this.#driver.schema, this.#driver.validate, this.#network.raw) as never }

  /** For verbs that clean up: what of the configuration still makes sense. */
  #salvaged(): never {
    const { name, schema, validate } = this.#driver
    const tell = (text: string): void => this.#around.warn(`${name}: ${this.#environment.verb}: ${text}`)
    return salvaged(schema, validate, this.#network.raw, tell) as never
  }

  #call<Config>(config: Config): Call<Config> {
    const { raw, cniVersion, name } = this.#network
    const host = this.#host
    return {
      config, raw, cniVersion, network: name, ipam: this.#ipam, warn: this.#around.warn,
      text: this.#around.stdin(),
      delegate: replacement => this.#delegate(replacement),
      get host() { return host.get() },
    }
  }

  /** A driver's own choice is in the same executable, wherever that is installed. */
  #delegate(ipam: Json): Ipam {
    const { raw, cniVersion } = this.#network
    const others = Object.fromEntries(Object.entries(raw).filter(([key]) => key.toLowerCase() !== 'ipam'))
    const bytes = new TextEncoder().encode(JSON.stringify({ ...others, ipam }))
    const around = { ...this.#around, stdin: () => bytes }
    return new Ipam(ipamType({ ipam }), cniVersion, delegation(this.#environment, around, 'of this executable'))
  }

  /** The call of a verb that concerns one attachment. Getters must survive, so the parts are assigned, not spread. */
  #attachmentCall<Config, Extra extends object>(config: Config, extra: Extra) {
    const { containerId, ifName, netns, verb, args } = this.#environment
    const attachment = { network: this.#network.name, containerId, ifName }
    const { args: known } = this.#driver
    const read = known && verb !== 'DEL' ? readArgs(args, known) : new Map<string, string>()
    return Object.assign(this.#call(config), { containerId, ifName, netns, attachment, args: read }, extra)
  }

  #add(): void {
    const { raw, cniVersion } = this.#network
    if (this.#isForbidden) throw forbiddenNetns(this.#environment)
    const config = this.#validated()
    const previous = readPrevious(raw, cniVersion)
    this.#ipam.find()
    const undo = new Undo()
    using pod = new LazyNamespace(() => openPod(this.#environment.netns))
    const call = this.#attachmentCall(config, { previous, undo: undo.defer.bind(undo) })
    try {
      this.#around.deliver(encodeResult(this.#driver.add(withPod(call, pod)), cniVersion))
    } catch (error) {
      undo.run(this.#around.warn)
      throw error
    }
  }

  #check(): void {
    const { raw, cniVersion } = this.#network
    const config = this.#validated()
    using pod = new LazyNamespace(() => openPod(this.#environment.netns))
    const previous = readPrevious(raw, cniVersion)
    this.#ipam.check()
    this.#driver.check(withPod(this.#attachmentCall(config, { previous }), pod))
  }

  #status(): void {
    this.#driver.status(this.#call(this.#validated()))
    this.#ipam.status()
  }

  #del(): void {
    const { warn } = this.#around
    const { netns } = this.#environment
    const cleanup = new Cleanup()
    const attempt = cleanup.attempt.bind(cleanup)
    const forbidden = this.#isForbidden
    // Nothing is touched inside the plugin's own namespace, but what the attachment has on the host may not stay
    // behind.
    using pod = forbidden || this.#driver.kind === 'ipam' ? undefined : openPodIfThere(netns, warn)
    const config = this.#salvaged()
    const call = this.#attachmentCall(config, { pod, previous: previousIfReadable(this.#network, warn), attempt })
    attempt(() => this.#driver.del(call))
    // The address comes off the wire first and is free for others then.
    attempt(() => this.#ipam.del())
    if (forbidden) attempt(() => { throw forbiddenNetns(this.#environment) })
    cleanup.finish()
  }

  #gc(): void {
    const { raw, name } = this.#network
    const valid = readValidAttachments(raw, name)
    const cleanup = new Cleanup()
    const attempt = cleanup.attempt.bind(cleanup)
    const config = this.#salvaged()
    if (valid === undefined) {
      this.#around.warn(
        'GC was not told which attachments live (cni.dev/valid-attachments), so what is stale is kept; by hand: --all')
    } else {
      attempt(() => this.#driver.gc(Object.assign(this.#call(config), { valid, attempt })))
    }
    attempt(() => this.#ipam.gc())
    cleanup.finish()
  }
}

const withPod = <Call extends object>(call: Call, pod: LazyNamespace): Call & { readonly pod: Namespace } =>
  Object.defineProperty(call, 'pod', { get: () => pod.get() }) as Call & { readonly pod: Namespace }

/**
 * Runs one verb of a plugin.
 * @throws CniError, NetlinkError or any other: asCniError makes each of them one for the runtime
 */
export const invoke = (driver: AnyDriver, around: Surroundings): void => {
  using invocation = new Invocation(driver as unknown as Driver, around)
  invocation.run()
}
