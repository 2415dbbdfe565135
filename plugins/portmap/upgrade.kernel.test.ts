// portmap on a node that changes over from the Go suite, or back to it, without being drained.
import { rmSync } from 'node:fs'
import process from 'node:process'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { lacks, output } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { bridgeResult, lacksReference, pathOf, refer } from '#tools/reference.ts'
import { portmap } from './portmap.ts'

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

type Test = ConstructorParameters<typeof Node>[0]

const both = ['10.1.2.3/24', 'fd00:1::3/64']
const portMappings = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 8081, containerPort: 81, protocol: 'tcp', hostIP: '192.0.2.1' },
  { hostPort: 53, containerPort: 5353, protocol: 'udp' },
]

/** A host, a pod, and what either suite does about it. */
const prepared = (t: Test, addresses: readonly string[] = both) => {
  const node = new Node(t, portmap, { cniVersion: '0.4.0' })
  const pod = node.pod()
  const { host } = node
  const keys = (more: Json = {}): Json =>
    ({ prevResult: bridgeResult(pod, addresses), runtimeConfig: { portMappings }, ...more })
  return {
    host, pod,
    ours: (verb: string, more: Json = {}, where: Namespace | undefined = pod): unknown =>
      node.call(verb, where, node.config({ ...keys(more) })),
    theirs: (verb: 'ADD' | 'CHECK' | 'DEL', more: Json = {}, path?: string): void => refer(host, {
      plugin: 'portmap', verb, containerId: 'c1', pod, path,
      config: { cniVersion: '0.4.0', name: 'net', ...keys(more) },
    }),
    /** What is left of containers. */
    left: (): string[] => ['iptables', 'ip6tables'].flatMap(program =>
      output(host, `${program}-save`, ['-t', 'nat']).split('\n').filter(line => line.includes('CNI-DN-'))),
    native: (): boolean => output(host, 'nft', ['list', 'tables']).includes('fairlead'),
  }
}

const skip = lacksReference('portmap') || lacks('nft')

for (const [circumstances, keys] of [
  ['as it was added', {}], ['without prevResult', { prevResult: undefined }],
  ['without anything', { prevResult: undefined, runtimeConfig: undefined }],
] as const) {
  test(`what the Go suite has added is deleted, ${circumstances}`, { skip }, async t => {
    const { ours, theirs, left, native } = prepared(t)
    theirs('ADD')
    t.not(left().length, 0)
    ours('CHECK')
    ours('CHECK', { backend: 'iptables' })
    ours('DEL', keys)
    t.same(left(), [])
    ours('DEL', { ...keys, backend: 'iptables' })
    t.throws(() => ours('CHECK'), { code: 102 })
    t.notOk(native())
  })
}

for (const [program, address] of [['iptables', '10.1.2.3/24'], ['ip6tables', 'fd00:1::3/64']] as const) {
  test(`what we have added with ${program} is checked and deleted by the Go suite`, { skip }, async t => {
    const { ours, theirs, left, native } = prepared(t, [address])
    const plain = { runtimeConfig: { portMappings: portMappings.filter(({ hostIP }) => hostIP === undefined) } }
    const path = pathOf(t, program)
    theirs('ADD', plain)
    const lines = left()
    theirs('DEL', plain)
    ours('ADD', { ...plain, backend: 'iptables' })
    t.same(left(), lines)
    theirs('CHECK', plain, path)
    theirs('DEL', plain, path)
    t.same(left(), [])
    t.notOk(native())
    ours('DEL', plain)
  })
}

test('in both families', { skip }, async t => {
  const { ours, theirs, left } = prepared(t)
  ours('ADD', { backend: 'iptables' })
  theirs('DEL')
  t.same(left(), [])
})

test('another network of the container keeps its ports', { skip }, async t => {
  const { ours, theirs, left } = prepared(t)
  theirs('ADD', { name: 'another' })
  const kept = left()
  theirs('ADD', { runtimeConfig: { portMappings: [{ hostPort: 99, containerPort: 80, protocol: 'tcp' }] } })
  t.not(left().length, kept.length)
  ours('DEL', { prevResult: undefined })
  t.same(left(), kept)
})

test('GC', { skip }, async t => {
  const { ours, theirs, left } = prepared(t)
  const valid = (...containers: string[]): Json => ({
    cniVersion: '1.1.0', prevResult: undefined,
    'cni.dev/valid-attachments': containers.map(containerID => ({ containerID, ifname: 'eth0' })),
  })
  theirs('ADD')
  const lines = left()
  ours('GC', valid('c1'))
  t.same(left(), lines)
  ours('GC', { ...valid(), name: 'another' })
  t.same(left(), lines)
  ours('GC', valid())
  t.same(left(), [])
})

test('nftables of the Go suite', { skip }, async t => {
  const { host, ours } = prepared(t)
  // As its version 1.9.1 left it behind ADD of c1 and another container.
  const chains = (own: string, source: string, masquerading: string): string => `{
    chain hostports { ${own}; tcp dport 9090 dnat to ${source} comment "c2"; }
    chain hostip_hostports { }
    chain hostports_all { jump hostip_hostports; jump hostports; }
    chain prerouting {
      type nat hook prerouting priority dstnat; policy accept; fib daddr type local jump hostports_all;
    }
    chain output { type nat hook output priority -100; policy accept; fib daddr type local jump hostports_all; }
    chain masquerading { type nat hook postrouting priority srcnat; policy accept; ${masquerading}; }
  }\n`.replaceAll(';', '\n').replaceAll('{ ', '{\n').replaceAll(' }', '\n}')
  output(host, 'nft', ['-f', '-'], `table ip cni_hostport ${chains(`
    tcp dport 8080 dnat to 10.1.2.3:80 comment "c1"
    ip daddr 192.0.2.1 tcp dport 8081 dnat to 10.1.2.3:81 comment "c1"
    udp dport 53 dnat to 10.1.2.3:5353 comment "c1"`, '10.1.2.4:80', `
    ip saddr 10.1.2.3 ip daddr 10.1.2.3 masquerade comment "c1"
    ip saddr 127.0.0.1 ip daddr 10.1.2.3 masquerade comment "c1"`)}table ip6 cni_hostport ${chains(`
    tcp dport 8080 dnat to [fd00:1::3]:80 comment "c1"
    udp dport 53 dnat to [fd00:1::3]:5353 comment "c1"`, '[fd00:1::4]:80', `
    ip6 saddr fd00:1::3 ip6 daddr fd00:1::3 masquerade comment "c1"`)}`)
  const comments = (): string[] =>
    [...output(host, 'nft', ['list', 'ruleset']).matchAll(/comment "(c\d)"/g)].map(([, id]) => id!)
  ours('CHECK')
  t.equal(comments().length, 10)
  ours('DEL', { prevResult: bridgeResult(host, ['10.9.9.9/24']) })
  t.equal(comments().length, 10, 'another network of the container')
  ours('DEL')
  t.same(comments(), ['c2', 'c2'])
  t.throws(() => ours('CHECK'), { code: 102 })
})
