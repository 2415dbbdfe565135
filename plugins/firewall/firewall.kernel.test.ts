// firewall with its own table, on a host whose FORWARD chain drops: seen with packets, nft and iptables.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { writeSysctl } from '#net/sysctl.ts'
import { addBridge, addContainer, type Container } from '#tools/bridges.ts'
import { ask, serve } from '#tools/conversation.ts'
import { lacks, output, pings } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { firewallPlugin } from './firewall.ts'

const skip = lacks('ip') || lacks('nft') || lacks('ping') || lacks('iptables')

type Test = Parameters<typeof addContainer>[0]

const OUTSIDE = ['192.0.2.2', '2001:db8::2'] as const

/** A host that forwards, with a neighbour who knows its way to the containers, and FORWARD policies that drop. */
const droppingHost = (t: Test): { node: Node; host: Namespace; outside: Namespace } => {
  const node = new Node(t, firewallPlugin, { backend: 'nftables' })
  const { host } = node
  addBridge(host, 1)
  for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
  const outside = node.uplink({ own: ['192.0.2.1/24', '2001:db8::1/64'], there: ['192.0.2.2/24', '2001:db8::2/64'] })
  const { index: dev } = outside.link.get('out0')
  outside.route.add({ dst: '10.1.0.0/16', via: '192.0.2.1', dev })
  outside.route.add({ dst: 'fd00::/16', via: '2001:db8::1', dev })
  for (const program of ['iptables', 'ip6tables']) output(host, program, ['-P', 'FORWARD', 'DROP'])
  return { node, host, outside }
}

const ruleset = (host: Namespace): string => output(host, 'nft', ['list', 'ruleset'])
const config = (node: Node, { prevResult }: Container, keys: Json = {}): Json => node.config({ prevResult, ...keys })
const call = (node: Node, verb: string, one: Container, keys: Json = {}, pod: Namespace | undefined = one.pod) =>
  node.call(verb, pod, config(node, one, keys), { containerId: one.containerId })

test('firewall', { skip }, async t => {
  t.test('containers get out and answers in, nobody else does, and all of it ends with DEL', async t => {
    const { node, host, outside } = droppingHost(t)
    const before = ruleset(host)
    const [one, other] = [addContainer(t, host, 1, 2), addContainer(t, host, 1, 3)]
    const reach = (): boolean[] => OUTSIDE.map(address => pings(one.pod, address))
    t.same(reach(), [false, false], 'dropped without us')
    t.match(call(node, 'ADD', one), { ips: [{ address: '10.1.1.2/24' }, { address: 'fd00:1::2/64' }] })
    t.same(reach(), [true, true])
    t.same(OUTSIDE.map(address => pings(other.pod, address)), [false, false], 'nobody else is let through')
    t.same(one.addresses.map(address => pings(outside, address)), [false, false], 'nobody opens connections to it')
    call(node, 'CHECK', one)

    await serve(t, one.pod, 80)
    const published = [
      { protocol: 'tcp', address: '192.0.2.1', port: 8080 }, { protocol: 'tcp', address: '2001:db8::1', port: 8080 },
    ] as const
    const direct = one.addresses.map(address => ({ protocol: 'tcp', address, port: 80 } as const))
    t.same(await ask(outside, [...published, ...direct]), Array(4).fill(undefined))
    output(host, 'nft', ['-f', '-'], `table inet nat { chain prerouting {
      type nat hook prerouting priority dstnat;
      ip daddr 192.0.2.1 tcp dport 8080 dnat ip to 10.1.1.2:80;
      ip6 daddr 2001:db8::1 tcp dport 8080 dnat ip6 to [fd00:1::2]:80; }; }`)
    t.match(await ask(outside, published), [{ port: 80 }, { port: 80 }], 'what is published is reached')
    t.same(await ask(outside, direct), [undefined, undefined], 'and nothing else')
    output(host, 'nft', ['delete', 'table', 'inet', 'nat'])

    call(node, 'DEL', one)
    t.same(reach(), [false, false])
    t.equal(ruleset(host), before)
    call(node, 'DEL', one)
    t.equal(ruleset(host), before)
  })

  t.test('the mark ends with the hook', async t => {
    const { node, host } = droppingHost(t)
    const one = addContainer(t, host, 1, 2)
    output(host, 'nft', ['-f', '-'], `table inet seen {
      chain forward { type filter hook forward priority 0; meta mark & 0x1000 != 0 counter; };
      chain postrouting { type filter hook postrouting priority -300; meta mark & 0x1000 != 0 counter; }; }`)
    call(node, 'ADD', one)
    t.ok(pings(one.pod, OUTSIDE[0]))
    const [inside, behind] = [...output(host, 'nft', ['list', 'table', 'inet', 'seen']).matchAll(/packets (\d+)/g)]
      .map(([, count]) => Number(count))
    t.equal(inside, 2)
    t.equal(behind, 0)
  })

  t.test('only addresses of the interface', async t => {
    const { node, host } = droppingHost(t)
    const one = addContainer(t, host, 1, 2)
    const interfaces = [...one.prevResult['interfaces'] as Json[], { name: 'net1', sandbox: one.pod.path }]
    const ips = [
      { address: '10.1.1.1/24', interface: 0 }, { address: '10.9.9.9/24', interface: 3 },
      { address: '10.1.1.2/24', interface: 2 }, { address: '10.1.1.7/24' }, { address: '10.1.1.8/24', interface: 9 },
    ]
    const prevResult = { ...one.prevResult, interfaces, ips }
    t.match(call(node, 'ADD', { ...one, prevResult }), { ips, interfaces })
    t.same([...output(host, 'nft', ['list', 'set', 'inet', 'fairlead_firewall', 'addresses4'])
      .matchAll(/10\.[\d.]+/g)].map(String).sort(), ['10.1.1.2', '10.1.1.7'])
  })

  t.test('what cannot be is refused, and nothing is touched', async t => {
    const { node, host } = droppingHost(t)
    const before = ruleset(host)
    const one = addContainer(t, host, 1, 2)
    const refused: [Json, RegExp][] = [
      [{ prevResult: undefined }, /prevResult is missing/], [{ backend: 'ipfw' }, /backend "ipfw"/],
      [{ ingressPolicy: 'closed' }, /ingressPolicy "closed"/], [{ iptablesAdminChainName: 'a b' }, /AdminChainName/],
      [{ iptablesAdminChainName: 'a;b' }, /AdminChainName/], [{ iptablesAdminChainName: '-a' }, /AdminChainName/],
      [{ iptablesAdminChainName: 'FORWARD' }, /iptables' own/], [{ backend: 5 }, /backend 5/],
    ]
    for (const [keys, message] of refused)
      t.throws(() => call(node, 'ADD', one, keys), { code: 7, message }, message.source)
    const bare = { ...one, pod: node.pod() }
    t.throws(() => call(node, 'ADD', bare, { ingressPolicy: 'isolated' }), { code: 104, message: /no end on the host/ })
    t.equal(ruleset(host), before)
    t.match(call(node, 'ADD', one, { backend: '', ingressPolicy: '' }), { ips: [{}, {}] }, 'empty is the default')
    for (const cniVersion of ['0.2.0', '0.3.1', '0.4.0']) {
      const ip4 = { ip: '10.1.1.2/24' }
      const ips = [{ version: '4', address: '10.1.1.2/24' }]
      const prevResult = { cniVersion, ...cniVersion === '0.2.0' ? { ip4 } : { interfaces: [], ips } }
      call(node, 'ADD', { ...one, prevResult }, { cniVersion, ingressPolicy: 'same-bridge' })
    }
    t.match(ruleset(host), /elements = \{ "br1" \}/, 'the bridge is found without interfaces in the result')
  })

  t.test('DEL finds what there is without result and namespace', async t => {
    const { node, host } = droppingHost(t)
    const before = ruleset(host)
    const [one, other] = [addContainer(t, host, 1, 2), addContainer(t, host, 1, 3)]
    const policy = { ingressPolicy: 'isolated' }
    const both = (verb: string): void => { for (const each of [one, other]) call(node, verb, each, policy) }
    const isolated = (): string => output(host, 'bridge', ['-d', 'link']).match(/isolated on/g)?.join() ?? ''
    both('ADD')
    node.call('DEL', undefined, node.config({ ingressPolicy: 5, backend: 'other' }), { containerId: one.containerId })
    t.notMatch(ruleset(host), one.containerId)
    t.equal(isolated(), 'isolated on')
    call(node, 'CHECK', other, policy)
    const wrong = { ...other, prevResult: { ...other.prevResult, ips: [{ address: '10.1.1.99/24' }] } }
    call(node, 'DEL', wrong, {}, undefined)
    t.equal(ruleset(host), before, 'a wrong result does not lead astray')
    t.equal(isolated(), '')

    both('ADD')
    const gc = (...ids: string[]): void => {
      const valid = ids.map(containerID => ({ containerID, ifname: 'eth0' }))
      node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': valid }))
    }
    gc(other.containerId)
    t.notMatch(ruleset(host), one.containerId)
    t.equal(isolated(), 'isolated on')
    call(node, 'CHECK', other, policy)
    node.call('GC', undefined, node.config({ name: 'net2', 'cni.dev/valid-attachments': [] }))
    call(node, 'CHECK', other, policy)
    gc()
    t.equal(ruleset(host), before)
    t.equal(isolated(), '')
  })

  t.test('an address that went on to a later owner stays his', async t => {
    const { node, host } = droppingHost(t)
    const one = addContainer(t, host, 1, 2)
    const later = { ...one, containerId: 'later' }
    call(node, 'ADD', one)
    call(node, 'ADD', later)
    t.throws(() => call(node, 'CHECK', one), { code: 102, message: /belongs to fairlead:net\/later/ })
    call(node, 'DEL', one)
    call(node, 'CHECK', later)
    t.ok(pings(one.pod, OUTSIDE[0]))
  })

  t.test('CHECK names what is missing, and the next ADD mends it', async t => {
    const { node, host } = droppingHost(t)
    const [one, other] = [addContainer(t, host, 1, 2), addContainer(t, host, 1, 3)]
    const policy = { ingressPolicy: 'same-bridge' }
    const own = 'inet fairlead_firewall'
    const damages: [string, RegExp][] = [
      [`nft flush chain ${own} forward`, /chain forward has lost rules/],
      [`nft flush chain ${own} admitted`, /chain admitted has lost rules/],
      [`nft flush set ${own} within`, /br1 is not in set within/],
      [`nft flush set ${own} confined`, /br1 is not in set confined/],
      ['iptables -F FORWARD', /FORWARD of ip table filter has no rule/],
      ['ip6tables -F FORWARD', /FORWARD of ip6 table filter has no rule/],
    ]
    call(node, 'ADD', one, policy)
    for (const [command, message] of damages) {
      const [program = '', ...words] = command.split(' ')
      output(host, program, words)
      t.throws(() => call(node, 'CHECK', one, policy), { code: 102, message }, command)
      call(node, 'ADD', other, policy)
      call(node, 'CHECK', one, policy)
      call(node, 'DEL', other, policy)
      call(node, 'CHECK', one, policy)
    }
    output(host, 'nft', ['flush', 'set', 'inet', 'fairlead_firewall', 'addresses6'])
    t.throws(() => call(node, 'CHECK', one, policy), { code: 102, message: /fd00:1::2 is not in set addresses6/ })
    output(host, 'nft', ['flush', 'ruleset'])
    t.throws(() => call(node, 'CHECK', one, policy), { code: 102, message: /10\.1\.1\.2 is not in set/ })
    call(node, 'DEL', one, policy)
    t.equal(ruleset(host), '')
  })
})
