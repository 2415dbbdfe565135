// A container in the host's namespace, and one that is not.
import { test } from 'tap'
import { invoke } from '#cni/invocation.ts'
import type { Json } from '#cni/json.ts'
import { anotherNamespace, connect, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { host as driver } from './host.ts'

test('network host', { skip: lacks('ip') }, async t => {
  const host = ownNamespace(t)
  const pod = anotherNamespace(t)
  const outside = anotherNamespace(t)
  connect(
    { ns: host, name: 'lan0', addresses: ['198.51.100.7/24'] },
    { ns: outside, name: 'lan0', addresses: ['198.51.100.8/24'] },
  )
  connect(
    { ns: host, name: 'up0', addresses: ['192.0.2.7/24', '192.0.2.8/24', '2001:db8::7/64'] },
    { ns: outside, name: 'up0', addresses: ['192.0.2.1/24'] },
  )
  connect(
    { ns: host, name: 'veth0', addresses: ['10.1.2.1/32'] },
    { ns: outside, name: 'eth0', addresses: [] },
  )
  host.link.set(host.link.get('veth0').index, { alias: 'fairlead:net/c1/eth0' })
  host.route.add({ dst: '0.0.0.0/0', via: '192.0.2.1', dev: host.link.get('up0').index })

  const warnings: string[] = []
  const call = (verb: string, netns: string, extra: Json = {}): Json | undefined => {
    let result: Json | undefined
    const config = { cniVersion: '1.1.0', name: 'net', type: 'host', ...extra }
    invoke(driver, {
      variables: {
        CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_NETNS: netns, CNI_IFNAME: 'eth0', CNI_PATH: '/nowhere',
      },
      stdin: () => new TextEncoder().encode(JSON.stringify(config)),
      executable: undefined,
      resident: () => undefined,
      deliver: made => { result = made },
      warn: text => warnings.push(text),
    })
    return result
  }
  const own = '/proc/thread-self/ns/net'
  // Addresses of the link come in their own time.
  const facts = (): string =>
    output(host, 'ip', ['-d', 'address', 'show', 'scope', 'global']) + output(host, 'ip', ['route', 'show'])
  const before = facts()

  t.test('ADD tells where the host can be reached', async t => {
    const mac = (name: string): string | undefined => host.link.get(name).address
    t.same(call('ADD', own), {
      cniVersion: '1.1.0',
      interfaces: [
        { name: 'up0', mac: mac('up0'), mtu: 1500, sandbox: undefined },
        { name: 'lan0', mac: mac('lan0'), mtu: 1500, sandbox: undefined },
      ],
      ips: [
        { address: '192.0.2.7/24', interface: 0 }, { address: '192.0.2.8/24', interface: 0 },
        { address: '2001:db8::7/64', interface: 0 }, { address: '198.51.100.7/24', interface: 1 },
      ],
    })
    t.match(call('ADD', own, { cniVersion: '0.2.0' }), { ip4: { ip: '192.0.2.7/24' }, ip6: { ip: '2001:db8::7/64' } })
    t.same(warnings, [])
  })

  t.test('a namespace of the container\'s own is refused', async t => {
    t.throws(() => call('ADD', pod.path), { code: 8, message: /CNI_NETNS \S+ is not the host's network namespace/ })
    t.throws(() => call('ADD', '/run/netns/missing'), { code: 8 })
    t.throws(() => call('CHECK', pod.path, { prevResult: call('ADD', own) }), { code: 102, message: /not the host's/ })
  })

  t.test('ports are not published, and that is said', async t => {
    const runtimeConfig = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }
    t.ok(call('ADD', own, { runtimeConfig }))
    t.match(warnings, [/portMappings ignored/])
  })

  t.test('it takes no part in a chain', async t => {
    t.throws(() => call('ADD', own, { prevResult: { interfaces: [] } }), { code: 7, message: /cannot follow/ })
  })

  t.test('the other verbs have nothing to do', async t => {
    call('CHECK', own, { prevResult: call('ADD', own) })
    t.throws(() => call('CHECK', own), { code: 7, message: /prevResult/ })
    for (const netns of [own, pod.path, '', '/run/netns/missing']) call('DEL', netns)
    call('STATUS', '')
    call('GC', '', { 'cni.dev/valid-attachments': [] })
    t.equal(facts(), before, 'nothing has been touched')
  })

  t.test('a host without addresses has no result of the old shape', async t => {
    for (const name of ['up0', 'lan0']) host.link.set(host.link.get(name).index, { up: false })
    t.match(call('ADD', own), { interfaces: undefined, ips: undefined })
    t.throws(() => call('ADD', own, { cniVersion: '0.2.0' }), { code: 7 })
  })
})
