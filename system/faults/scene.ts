// A fresh host on which one fault happens, with what was there before.
import { without } from '../facts.ts'
import { Host } from '../host.ts'
import type { Attachment, Configuration, Reply } from '../host.ts'

/** The kernel removes the links of a deleted namespace when it comes to it: milliseconds to wait for that, at most. */
const patience = 2000

/** Passes through a reply that says success. @throws Error with the plugin's words otherwise */
export function must(reply: Reply): Reply {
  if (reply.status !== 0) throw new Error(`exit status ${reply.status}: ${reply.stdout} ${reply.stderr}`)
  return reply
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** The host is empty, or has a neighbour in the same network already. */
export class Scene implements Disposable {
  readonly host: Host
  readonly subject: Attachment
  readonly before: string[]
  readonly #configuration: Configuration

  /** @param before what an earlier scene of this kind has begun with; a scene is looked at when it is not given */
  constructor(configuration: Configuration, neighbour: boolean, before?: string[]) {
    this.host = new Host(2)
    this.#configuration = configuration
    const { master, device, vlanId } = configuration
    for (const link of [master, device]) if (typeof link === 'string') this.host.addUplink(link)
    // Nobody else can have the subject's device or VLAN.
    const others = {
      ...configuration,
      ...typeof device === 'string' && { device: `${device}b` },
      ...typeof vlanId === 'number' && { vlanId: vlanId + 1 },
    }
    if (neighbour && others.device !== device) this.host.addUplink(`${device}b`)
    const interfaceName = configuration.type === 'loopback' ? 'lo' : 'eth0'
    const [own = '', occupied = ''] = this.host.pods
    const other = { id: 'test-neighbour', netns: occupied, interface: interfaceName }
    if (neighbour) must(this.host.call('ADD', others, other))
    this.subject = { id: 'test-subject', netns: own, interface: interfaceName }
    this.before = before ?? this.host.facts(own)
  }

  /** A verb for the subject, with the configuration and these keys. */
  call(verb: string, keys: Record<string, unknown> = {}): Reply {
    return this.host.call(verb, { ...this.#configuration, ...keys }, this.subject)
  }

  deletePod(): void {
    // The link that stands in for a card would end with the namespace.
    if (this.#configuration['device'] !== undefined) this.host.returnCards(this.subject.netns)
    this.host.deletePod(this.subject.netns)
    this.subject.netns = ''
  }

  /** What is too much and what is missing, compared with the time before; `allowed` may stay. */
  difference(allowed: string[]): string[] {
    const gone = this.subject.netns === ''
    const deadline = Date.now() + (gone ? patience : 0)
    let facts = this.#facts()
    while (without(facts, this.before, allowed).length > 0 && Date.now() < deadline) {
      pause(20)
      facts = this.#facts()
    }
    const expected = gone ? this.before.filter((fact) => !fact.startsWith('pod: ')) : this.before
    return [
      ...without(facts, this.before, allowed).map((fact) => `left: ${fact}`),
      ...without(expected, facts).map((fact) => `lost: ${fact}`),
    ]
  }

  [Symbol.dispose](): void {
    this.host.close()
  }

  #facts(): string[] {
    return this.host.facts(...this.subject.netns === '' ? [] : [this.subject.netns])
  }
}
