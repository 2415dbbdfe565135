// Calls that are wrong in every way that areas A to C know; how they fail is judged apart from why.

import type { Reply } from './call.ts'
import type { JsonObject } from './json.ts'
import type { Subject } from './subject.ts'
import type { Attempt, World } from './world.ts'

// A call that a plugin may refuse, or take; what matters is how it says so.
interface Malformed {
  readonly title: string
  readonly verb: string
  readonly attempt: Attempt
}

const configurations: Readonly<Record<string, JsonObject>> = {
  'no name': { name: undefined },
  'name 5': { name: 5 },
  'name ../x': { name: '../x' },
  'cniVersion 5': { cniVersion: 5 },
  'cniVersion abc': { cniVersion: 'abc' },
  'cniVersion 9.9.9': { cniVersion: '9.9.9' },
  'prevResult 5': { prevResult: 5 },
  'prevResult []': { prevResult: [] },
  'prevResult of nulls': { prevResult: { interfaces: null, ips: null, routes: null } },
  'prevResult with a bad address': { prevResult: { ips: [{ address: 'nonsense' }] } },
  'prevResult with a bad index': { prevResult: { ips: [{ address: '10.0.0.1/24', interface: 7 }] } },
  'ipam 5': { ipam: 5 },
  'ipam {}': { ipam: {} },
  'ipam.type missing-plugin': { ipam: { type: 'missing-plugin' } },
  'runtimeConfig 5': { runtimeConfig: 5 },
  'args 5': { args: 5 },
  'args.cni.sysctl': { args: { cni: { sysctl: { 'net.ipv4.conf.eth0.arp_filter': '1' } } } },
  'dns 5': { dns: 5 },
}

const environments: Readonly<Record<string, NonNullable<Attempt['env']>>> = {
  'no container id': { CNI_CONTAINERID: undefined },
  'container id ../x': { CNI_CONTAINERID: '../x' },
  'interface name a/b': { CNI_IFNAME: 'a/b' },
  'CNI_NETNS that does not exist': { CNI_NETNS: '/run/netns/nonexistent' },
  'CNI_NETNS that is a file': { CNI_NETNS: '/etc/passwd' },
  'CNI_ARGS without =': { CNI_ARGS: 'nonsense' },
  'verb FOO': { CNI_COMMAND: 'FOO' },
}

// Those that make a difference on CHECK and DEL too.
const anyVerb = [
  'nothing', 'null', 'no keys of the plugin', 'prevResult 5', 'prevResult of nulls', 'ipam 5',
  'CNI_NETNS that is a file',
]

const malformedCalls = (world: World): Malformed[] => {
  const valid = JSON.stringify(world.config('ADD'))
  const { cniVersion, name, type } = world.config('ADD')
  const texts = {
    nothing: '', '{': '{', '[]': '[]', null: 'null', 'trailing data': `${valid} x`, BOM: `\ufeff${valid}`,
    'no keys of the plugin': JSON.stringify({ cniVersion, name, type }),
  }
  const attempts = new Map<string, Attempt>([
    ...Object.entries(texts).map(([title, stdin]) => [title, { stdin }] as const),
    ...Object.entries(configurations).map(([title, config]) => [title, { config }] as const),
    ...Object.entries(environments).map(([title, env]) => [title, { env }] as const),
  ])
  const calls = (verb: string, titles: Iterable<string>): Malformed[] =>
    [...titles].map(title => ({ title, verb, attempt: attempts.get(title) ?? {} }))
  return [...calls('ADD', attempts.keys()), ...calls('CHECK', anyVerb), ...calls('DEL', anyVerb)]
}

export interface Refusal {
  /** The verb and what is wrong with the call. */
  readonly call: string
  readonly reply: Reply
}

// Several cases judge the same replies, and making the calls takes longer than anything else that they do.
const made = new WeakMap<Subject, readonly Refusal[]>()

/** Makes every malformed call, ADD first, and returns the replies that are failures. */
export const refusals = (world: World): readonly Refusal[] => {
  const before = made.get(world.subject)
  if (before) return before
  const replies = malformedCalls(world)
    .map(({ title, verb, attempt }) => ({ call: `${verb} with ${title}`, reply: world.call(verb, attempt) }))
    .filter(({ reply }) => reply.status !== 0)
  made.set(world.subject, replies)
  return replies
}
