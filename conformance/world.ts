// A throw-away host with containers, for one case and one plugin: calls the plugin and watches what it does.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run, start, type Invocation, type Reply, type Running } from './call.ts'
import { Skip } from './case.ts'
import { must, resultOf, succeeds } from './expect.ts'
import { stateDirectories, sweep } from './isolation.ts'
import { changed, isObject, parsed, type JsonObject } from './json.ts'
import type { Netns } from './netns.ts'
import { numbered } from './network-number.ts'
import { addNamespaces, destroyPod, makeHost, makePod, type Pod } from './pod.ts'
import { resultIn, type Result } from './result.ts'
import { differences, takeSnapshot, type Snapshot } from './snapshot.ts'
import { answers, leases, releases, Stub, type Script } from './stub.ts'
import type { Subject } from './subject.ts'
import { isAtLeast } from './versions.ts'

/** How a call differs from the valid one of its verb. Everything is optional. */
export interface Attempt {
  /** Keys over the valid configuration; `undefined` removes one. */
  readonly config?: JsonObject
  /** Bytes instead of the configuration. */
  readonly stdin?: string | Uint8Array
  /** The spec version of configuration and prevResult; the newest that the plugin advertises otherwise. */
  readonly version?: string
  /** Variables over the valid ones; `undefined` unsets one. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Another container than the first. */
  readonly pod?: Pod
  readonly executable?: string
  readonly cwd?: string
  /** A command that is given the executable as its last argument, such as setpriv. */
  readonly through?: readonly string[]
}

/** What the stub IPAM hands out; `$n` is the number of the lease. */
const lease: Result = {
  ips: [{ address: '10.77.0.$n/24', gateway: '10.77.0.1' }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.77.0.1' }],
}

// Firewall scaffolding that no container owns, and forwarding, stay on after the last container has gone.
const scaffolding = [
  String.raw`^host (nft|ip6?tables) (?!.*(10\.7\d\.|10\.88\.|fd00:|conformance))`,
  String.raw`^host sysctl (ipv4/ip_forward|ipv6/conf/\S+/forwarding)`,
]

export class World implements Disposable {
  readonly subject: Subject
  readonly host: Netns
  /** The first container, the one that calls are about unless they name another. */
  readonly pod: Pod
  /** Directory of the stub plugins; first on CNI_PATH. */
  readonly stubs: string
  /** The stub IPAM's leases, one file each; part of every snapshot. */
  readonly leases: string
  /** The default stub IPAM, for interface plugins. */
  readonly ipam: Stub
  /** The network's name. */
  readonly network = 'conformance'
  /** How many attachments attach() has made. */
  attachments = 0
  /** Every reply so far, for the report. */
  readonly replies: Reply[] = []
  readonly #pods: Pod[] = []
  readonly #gone: Pod[] = []
  /** Lines of a snapshot of what has gone with containers. */
  readonly #graves: RegExp[] = []
  readonly #results = new Map<string, JsonObject>()

  constructor(subject: Subject) {
    this.subject = subject
    this.stubs = '/run/conformance/stubs'
    this.leases = '/run/conformance/leases'
    mkdirSync(this.stubs, { recursive: true })
    mkdirSync(this.leases)
    addNamespaces('host', 'pod1')
    this.host = makeHost('host', subject.profile)
    this.pod = this.#makePod(1)
    this.ipam = this.stub('stub-ipam', {
      ADD: leases(this.leases, '10.77.0.') + answers(lease),
      DEL: releases(this.leases),
    })
  }

  get plugin(): string {
    return this.subject.plugin
  }

  /** One more container. */
  addPod(): Pod {
    const number = this.#pods.length + this.#gone.length + 1
    addNamespaces(`pod${number}`)
    return this.#makePod(number)
  }

  /** The container dies and its namespace with it; comparisons of snapshots leave it out from now on. */
  async kill(pod = this.pod): Promise<void> {
    // A card would come home; a veth in its place goes with the namespace.
    const lent = this.subject.profile.host?.includes('device') && !this.host.link('dev0') ? ['dev0'] : []
    const links = [...lent, ...await destroyPod(pod, this.host)]
    this.#pods.splice(this.#pods.indexOf(pod), 1)
    this.#gone.push(pod)
    this.#graves.push(
      new RegExp(`^. ((file|directory) /run/netns/)?${pod.netns.name}( |$)`),
      ...links.map(name => new RegExp(`^- host .*[ /]${name}\\b`)))
  }

  #makePod(number: number): Pod {
    const { profile, features } = this.subject
    const pod = makePod(`pod${number}`, number, this.host, profile, features.ipv6)
    this.#pods.push(pod)
    return pod
  }

  /** Puts a scripted plugin on CNI_PATH. */
  stub(name: string, script: Script): Stub {
    return new Stub(this.stubs, `/run/conformance/record/${name}`, name, script)
  }

  /** Ends the case as skipped unless ADD of this plugin can succeed here. */
  requireAttach(): void {
    const { unattachable } = this.subject
    if (unattachable) throw new Skip(unattachable)
  }

  /** The valid configuration for a verb, as a runtime would send it, with `change` over it. */
  config(verb: string, change: JsonObject = {}, version = this.subject.version, pod = this.pod): JsonObject {
    const { profile, plugin } = this.subject
    const attached = this.#results.get(`${pod.id} ${change['name'] ?? this.network}`)
    const previous = verb === 'ADD' ? pod.prevResult && resultIn(version, pod.prevResult) : attached
    const takesPrevious = verb === 'ADD' || verb === 'CHECK' || (verb === 'DEL' && isAtLeast(version, '0.4.0'))
    const base: JsonObject = {
      cniVersion: version,
      name: this.network,
      type: plugin,
      ...(profile.delegates && { ipam: { type: 'stub-ipam' } }),
      ...profile.config,
      ...(takesPrevious && previous && { prevResult: previous }),
    }
    const network = changed(base, { runtimeConfig: undefined })
    const none = { 'cni.dev/attachments': [], 'cni.dev/valid-attachments': [] }
    if (verb === 'GC') return numbered(changed({ ...network, ...none }, change))
    return numbered(changed(verb === 'STATUS' ? network : base, change))
  }

  /** The environment for a verb, as libcni sets it, with `change` over it. */
  env(verb: string, change: Attempt['env'] = {}, pod = this.pod): Record<string, string> {
    const { bin } = this.subject
    const base: JsonObject = {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: verb,
      CNI_CONTAINERID: pod.id,
      CNI_NETNS: pod.netns.path,
      CNI_IFNAME: 'eth0',
      CNI_ARGS: '',
      CNI_PATH: `${this.stubs}:${bin}`,
    }
    const withoutAttachment = { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' }
    const perAttachment = ['ADD', 'DEL', 'CHECK'].includes(verb)
    return changed({ ...base, ...(!perAttachment && withoutAttachment) }, change) as Record<string, string>
  }

  /** What call() would run; for cases that run it in a way of their own. */
  invocation(verb: string, attempt: Attempt = {}): Invocation {
    const { config, version, pod = this.pod, env, executable = this.subject.executable } = attempt
    const { cwd = '/', through = [] } = attempt
    const stdin = attempt.stdin ?? JSON.stringify(this.config(verb, config, version, pod))
    return { verb, host: this.host, executable, env: this.env(verb, env, pod), stdin, cwd, through }
  }

  /**
   * Runs the plugin. The call is the valid one of its verb except for what `attempt` says; the result of the last ADD
   * of the same container and network goes along as prevResult.
   */
  call(verb: string, attempt: Attempt = {}): Reply {
    return this.#recorded(run(this.invocation(verb, attempt)), attempt)
  }

  /** Starts the plugin and does not wait. With `open` its stdin is left for the case to write to `child.stdin`. */
  start(verb: string, attempt: Attempt = {}, open = false): Running {
    const { child, reply } = start(this.invocation(verb, attempt), open)
    return { child, reply: reply.then(done => this.#recorded(done, attempt)) }
  }

  /** Keeps the reply for the report and the result of a successful ADD for the calls that follow. */
  #recorded(reply: Reply, { pod = this.pod, config = {} }: Attempt): Reply {
    this.replies.push(reply)
    if (reply.verb === 'ADD' && reply.status === 0) {
      const result = parsed(reply.stdout)
      if (isObject(result)) this.#results.set(`${pod.id} ${config['name'] ?? this.network}`, result)
    }
    return reply
  }

  /** An ADD that has to succeed. The case is skipped when the plugin cannot be added here. */
  add(attempt: Attempt = {}): Result {
    this.requireAttach()
    return resultOf(this.call('ADD', attempt))
  }

  /** A DEL that has to succeed. */
  del(attempt: Attempt = {}): void {
    succeeds(this.call('DEL', attempt))
  }

  /** Everything that a plugin could leave behind, as it is now. */
  snapshot(): Snapshot {
    const namespaces = [this.host, ...this.#pods.map(pod => pod.netns)]
    const directories = [...stateDirectories, ...(this.subject.profile.state ?? [])]
    const own = ['/run/conformance/stubs', '/run/conformance/record', '/run/xtables.lock']
    return takeSnapshot(namespaces, directories, path => own.includes(path))
  }

  /** Runs `step` and throws when it has left anything behind or taken anything away. */
  unchanged<T>(step: () => T): T {
    const before = this.snapshot()
    const value = step()
    this.mustBe(before)
    return value
  }

  /** Throws when the system differs from an earlier snapshot. */
  mustBe(before: Snapshot): void {
    const left = this.#differences(before)
    must(left.length === 0, `the system has changed:\n${left.join('\n')}`)
  }

  /** The same after a DEL: what the profile says is shared and firewall chains that no container owns may stay. */
  mustBeClean(before: Snapshot, remains = this.subject.profile.remains ?? []): void {
    const allowed = [...scaffolding, ...remains].map(pattern => new RegExp(pattern))
    const left = this.#differences(before).filter(line => !allowed.some(pattern => pattern.test(line.slice(2))))
    must(left.length === 0, `DEL leaves:\n${left.join('\n')}`)
  }

  #differences(before: Snapshot): string[] {
    return differences(before, this.snapshot()).filter(line => !this.#graves.some(grave => grave.test(line)))
  }

  /** A path for a file of the case's own; not watched by snapshots. */
  path(name: string): string {
    return join(this.stubs, name)
  }

  [Symbol.dispose](): void {
    sweep(this.subject.profile.state ?? [])
  }
}
