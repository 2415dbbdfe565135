// A fresh host on which one fault happens, with what was there before.
import { without } from '../facts.ts'
import { Host } from '../host.ts'
import type { Attachment, Configuration, Reply } from '../host.ts'

/** The kernel removes the links of a deleted namespace when it comes to it: milliseconds to wait for that, at most. */
const patience = 2000

interface Result {
  readonly interfaces: readonly { readonly name: string, readonly sandbox?: string }[]
}

/** Passes through a reply that says success. @throws Error with the plugin's words otherwise */
export function must(reply: Reply): Reply {
  if (reply.status !== 0) throw new Error(`exit status ${reply.status}: ${reply.stdout} ${reply.stderr}`)
  return reply
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** Who is on the host when the fault happens. */
export interface Cast {
  /** The plugin that has the faults. */
  readonly configuration: Configuration
  /** The plugin before it in the chain, which has made the interface; it has no faults. */
  readonly behind?: Configuration | undefined
  /** The configuration of a container that is in the same network already; without it the host is empty. */
  readonly neighbour?: Configuration | undefined
}

/** A host whose subject is about to be given to the plugin, by the one before it in the chain if there is one. */
export class Scene implements Disposable {
  readonly host: Host
  readonly subject: Attachment
  readonly before: string[]
  /** With the result of the plugin before it. */
  readonly configuration: Configuration
  /** Links of the host whose other end is in the pod: they go with it. */
  readonly #ends: string[]

  /** @param before what an earlier scene of this kind has begun with; a scene is looked at when it is not given */
  constructor({ configuration, behind, neighbour }: Cast, before?: string[]) {
    this.host = new Host(2)
    const devices = [configuration, neighbour, behind].flatMap((one) => [one?.['master'], one?.['device']])
    for (const link of new Set(devices)) if (typeof link === 'string') this.host.addUplink(link)
    const interfaceName = configuration.type === 'loopback' ? 'lo' : 'eth0'
    const [own = '', occupied = ''] = this.host.pods
    const other = { id: 'test-neighbour', netns: occupied, interface: interfaceName }
    if (neighbour) must(this.host.call('ADD', this.#following(behind, neighbour, other), other))
    this.subject = { id: 'test-subject', netns: own, interface: interfaceName }
    this.configuration = this.#following(behind, configuration, this.subject)
    const { interfaces = [] } = (this.configuration['prevResult'] ?? {}) as Partial<Result>
    this.#ends = interfaces.filter(({ name, sandbox }) => !sandbox && name.startsWith('veth')).map(({ name }) => name)
    this.before = before ?? this.host.facts(own)
  }

  /** A verb for the subject, with the configuration and these keys. */
  call(verb: string, keys: Record<string, unknown> = {}): Reply {
    return this.host.call(verb, { ...this.configuration, ...keys }, this.subject)
  }

  deletePod(): void {
    // The link that stands in for a card would end with the namespace.
    if (this.configuration['device'] !== undefined) this.host.returnCards(this.subject.netns)
    this.host.deletePod(this.subject.netns)
    this.subject.netns = ''
  }

  /**
   * What is too much and what is missing, compared with the time before.
   *
   * @param allowed what may stay
   * @param fleeting what may be otherwise because it ends with the interface
   */
  difference(allowed: string[], fleeting?: RegExp): string[] {
    const gone = this.subject.netns === ''
    const deadline = Date.now() + (gone ? patience : 0)
    let facts = this.#facts()
    while (without(facts, this.before, allowed).length > 0 && Date.now() < deadline) {
      pause(20)
      facts = this.#facts()
    }
    const isGone = (fact: string): boolean =>
      gone && (fact.startsWith('pod: ') || this.#ends.some((end) => fact.includes(end)))
    return [
      ...without(facts, this.before, allowed).map((fact) => `left: ${fact}`),
      ...without(this.before, facts).filter((fact) => !isGone(fact)).map((fact) => `lost: ${fact}`),
    ].filter((difference) => !fleeting?.test(difference))
  }

  [Symbol.dispose](): void {
    this.host.close()
  }

  /** A configuration with the result of the plugin before it in the chain. */
  #following(behind: Configuration | undefined, configuration: Configuration, to: Attachment): Configuration {
    if (behind === undefined) return configuration
    const prevResult: unknown = JSON.parse(must(this.host.call('ADD', behind, to)).stdout)
    return { ...configuration, prevResult }
  }

  #facts(): string[] {
    return this.host.facts(...this.subject.netns === '' ? [] : [this.subject.netns])
  }
}
