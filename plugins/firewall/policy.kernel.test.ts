// ingressPolicy, with packets: who reaches whom on and between bridges.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { comment, test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { readSysctl, trySysctl, writeSysctl } from '#net/sysctl.ts'
import { addBridge, addContainer, type Container } from '#tools/bridges.ts'
import { connect, lacks, observe, output } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { firewallPlugin } from './firewall.ts'

// Whom nobody answers is waited for, again and again.
const timeout = 120_000
comment(`timeout=${timeout}`)

const skip = lacks('ip') || lacks('nft') || lacks('ping') || lacks('bridge')

type Test = Parameters<typeof addContainer>[0]
type Policy = 'open' | 'same-bridge' | 'isolated'

/** Whether pings are answered from inside a namespace, all at once. */
const answered = (from: Namespace, ...addresses: readonly string[]): Promise<readonly boolean[]> =>
  Promise.all(addresses.map(address => from.run(() => promisify(execFile)('ping', ['-n', '-c1', '-W1', address]))
    .then(() => true, () => false)))

/** Two containers on each of some bridges, each bridge with a policy. */
class Town {
  readonly node: Node
  readonly host: Namespace
  readonly #containers: Container[][]
  readonly #policies: readonly Policy[]

  constructor(t: Test, backend: string, ...policies: readonly Policy[]) {
    this.node = new Node(t, firewallPlugin, { backend })
    this.host = this.node.host
    this.#policies = policies
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
    this.#containers = policies.map((_, i) => {
      addBridge(this.host, i + 1)
      return [addContainer(t, this.host, i + 1, 2), addContainer(t, this.host, i + 1, 3)]
    })
  }

  at(bridge: number, which: number): Container { return this.#containers[bridge - 1]![which - 1]! }

  call(verb: string, bridge: number, which: number, keys: Json = {}): Json | undefined {
    const { pod, containerId, prevResult } = this.at(bridge, which)
    const config = { prevResult, ingressPolicy: this.#policies[bridge - 1], ...keys }
    return this.node.call(verb, pod, this.node.config(config), { containerId })
  }

  each(verb: string): void {
    this.#policies.forEach((_, i) => { for (const which of [1, 2]) this.call(verb, i + 1, which) })
  }

  /** Whether one container reaches another, in IPv4 and IPv6, one answer when they agree. */
  async reaches(from: readonly [number, number], to: readonly [number, number]): Promise<boolean | string> {
    const [four, six] = await answered(this.at(...from).pod, ...this.at(...to).addresses)
    return four === six ? four! : `${four} in IPv4, ${six} in IPv6`
  }

  get rules(): string { return output(this.host, 'nft', ['list', 'ruleset']) }

  get isolated(): number {
    const links = observe(this.host, 'bridge', '-j', '-d', 'link') as { isolated?: boolean }[]
    return links.filter(({ isolated }) => isolated).length
  }
}

/** Has the first container reach its neighbour by way of the gateway. */
const detour = (from: Container, to: Container, n: number): void => {
  const { index: dev } = from.pod.link.get('eth0')
  from.pod.route.add({ dst: `${to.addresses[0]}/32`, via: `10.1.${n}.1`, dev })
  from.pod.route.add({ dst: `${to.addresses[1]}/128`, via: `fd00:${n}::1`, dev })
}

test('who reaches whom', { skip, timeout }, async t => {
  const strict: readonly Policy[] = ['same-bridge', 'isolated']
  for (const backend of ['nftables', ...lacks('iptables') ? [] : ['iptables']]) {
    for (const policy of ['open', ...strict] as const) {
      for (const other of ['open', ...strict] as const) {
        // What the chains of the Go suite do is tested beside them: here it is enough that they are asked.
        if (backend === 'iptables' && policy !== other) continue
        t.test(`${backend}: ${policy}, another bridge ${other}`, async t => {
          const town = new Town(t, backend, policy, other)
          town.each('ADD')
          town.each('CHECK')
          const isApart = strict.includes(policy) && strict.includes(other)
          const [one, sibling, stranger] = [[1, 1], [1, 2], [2, 1]] as const
          const pairs = [[one, sibling], [one, stranger], [stranger, one]] as const
          const [within, out, back] = await Promise.all(pairs.map(([from, to]) => town.reaches(from, to)))
          t.equal(within, policy !== 'isolated', 'the same bridge')
          t.equal(out, !isApart, 'another bridge')
          t.equal(back, !isApart, 'and back')
          const gateway = ['10.1.1.1', 'fd00:1::1']
          t.same(await answered(town.at(...one).pod, ...gateway), [true, true], 'the host')
          t.same(await answered(town.host, ...town.at(...one).addresses), [true, true], 'the host reaches it')
        })
      }
    }
  }
})

test('a neighbour of the host with a container\'s address gets nowhere', { skip }, async t => {
  const town = new Town(t, 'nftables', 'open', 'open')
  const [one, stranger] = [town.at(1, 1), town.at(2, 1)]
  const outside = town.node.uplink({
    own: ['192.0.2.1/24', 'fd99::1/64'],
    there: ['192.0.2.2/24', 'fd99::2/64', `${one.addresses[0]}/32`, `${one.addresses[1]}/128`],
  })
  const { index: dev } = outside.link.get('out0')
  outside.route.add({ dst: '10.1.2.0/24', via: '192.0.2.1', dev })
  outside.route.add({ dst: 'fd00:2::/64', via: 'fd99::1', dev })
  writeSysctl('ipv4/conf/up0/rp_filter', '0')
  for (const program of ['iptables', 'ip6tables']) output(town.host, program, ['-P', 'FORWARD', 'DROP'])
  output(stranger.pod, 'nft', ['-f', '-'], `table inet seen { chain input {
    type filter hook input priority 0
    ip saddr ${one.addresses[0]} icmp type echo-request counter
    ip6 saddr ${one.addresses[1]} icmpv6 type echo-request counter
  }\n}`)
  const seen = (): string[] =>
    [...output(stranger.pod, 'nft', ['list', 'ruleset']).matchAll(/packets (\d+)/g)].map(([, count]) => count!)
  town.each('ADD')
  const knock = (from: Namespace): Promise<unknown> => Promise.all(stranger.addresses.map((address, i) =>
    from.run(() => promisify(execFile)('ping', ['-n', '-c1', '-W1', '-I', one.addresses[i]!, address]))
      .catch(() => undefined)))
  await knock(outside)
  t.same(seen(), ['0', '0'])
  await knock(one.pod)
  t.same(seen(), ['1', '1'], 'the container itself')
})

test('isolated also holds by way of the gateway', { skip }, async t => {
  for (const [policy, expected] of [['same-bridge', true], ['isolated', false]] as const) {
    const town = new Town(t, 'nftables', policy)
    detour(town.at(1, 1), town.at(1, 2), 1)
    town.each('ADD')
    t.equal(await town.reaches([1, 1], [1, 2]), expected, policy)
  }
})

test('policies hold where bridged frames pass for routed packets', { skip }, async t => {
  const town = new Town(t, 'nftables', 'same-bridge', 'isolated')
  const setting = 'bridge/bridge-nf-call-iptables'
  if (readSysctl(setting) === undefined) return void t.comment('skipped: this kernel has no br_netfilter')
  for (const name of [setting, 'bridge/bridge-nf-call-ip6tables']) trySysctl(name, '1')
  for (const program of ['iptables', 'ip6tables']) output(town.host, program, ['-P', 'FORWARD', 'DROP'])
  town.each('ADD')
  t.equal(await town.reaches([1, 1], [1, 2]), true, 'same-bridge')
  t.equal(await town.reaches([2, 1], [2, 2]), false, 'isolated')
  t.equal(await town.reaches([1, 1], [2, 1]), false, 'between the two')
  return undefined
})

test('a policy lasts as long as somebody has it', { skip }, async t => {
  const town = new Town(t, 'nftables', 'same-bridge', 'same-bridge')
  const before = town.rules
  town.each('ADD')
  const isolated = { ingressPolicy: 'isolated' }
  town.call('ADD', 1, 2, isolated)
  t.equal(town.isolated, 1)
  town.call('CHECK', 1, 2, isolated)
  const [, port] = town.at(1, 2).prevResult['interfaces'] as { name: string }[]
  output(town.host, 'bridge', ['link', 'set', 'dev', port!.name, 'isolated', 'off'])
  t.throws(() => town.call('CHECK', 1, 2, isolated), { code: 102, message: /is not isolated/ })
  output(town.host, 'bridge', ['link', 'set', 'dev', port!.name, 'isolated', 'on'])
  t.throws(() => town.call('CHECK', 2, 2, isolated), { code: 102, message: /does not lead to isolated_br2/ })
  detour(town.at(1, 1), town.at(1, 2), 1)
  t.equal(await town.reaches([1, 1], [1, 2]), false, 'the strictest counts, as far as the host routes')
  town.call('CHECK', 1, 1)
  town.call('DEL', 1, 2, isolated)
  t.equal(town.isolated, 0)
  t.equal(await town.reaches([1, 1], [1, 2]), true)
  t.equal(await town.reaches([1, 1], [2, 1]), false)
  town.call('CHECK', 1, 1)
  town.call('DEL', 1, 1)
  t.equal(await town.reaches([1, 1], [2, 1]), true, 'the last one has taken the policy along')
  t.notMatch(town.rules, /br1/)
  town.call('CHECK', 2, 1)
  town.call('DEL', 2, 1)
  town.call('CHECK', 2, 2)
  town.call('DEL', 2, 2)
  t.equal(town.rules, before)
})

test('a port that another plugin has isolated stays so', { skip }, async t => {
  const town = new Town(t, 'nftables', 'isolated')
  const [port] = town.host.link.list({ master: town.host.link.get('br1').index })
  town.host.link.setPort(port!.index, { isolated: 1 })
  town.each('ADD')
  t.equal(town.isolated, 2)
  town.each('DEL')
  t.equal(town.isolated, 1)
})

test('pairs without a bridge, and the link of a VLAN', { skip }, async t => {
  const node = new Node(t, firewallPlugin, { ingressPolicy: 'same-bridge' })
  const { host } = node
  for (const n of [1, 2]) addBridge(host, n)
  const pods = [node.pod(), node.pod()]
  pods.forEach((pod, i) => connect(
    { ns: host, name: `ptp${i}`, addresses: [] }, { ns: pod, name: 'eth0', addresses: [`10.2.${i}.2/24`] },
  ))
  const result = (interfaces: Json[], ips: Json[]): Json => ({ cniVersion: '1.1.0', interfaces, ips })
  pods.forEach((pod, i) => node.call('ADD', pod, node.config({
    prevResult: result([{ name: 'eth0', sandbox: pod.path }], [{ address: `10.2.${i}.2/24`, interface: 0 }]),
  }), { containerId: `p${i}` }))
  const tagged = addContainer(t, host, 1, 2)
  const interfaces = [
    ...tagged.prevResult['interfaces'] as Json[], { name: `br1.${'1'.repeat(20)}` }, { name: 'br1.100' },
  ]
  node.call('ADD', tagged.pod, node.config({ prevResult: { ...tagged.prevResult, interfaces } }))
  const set = output(host, 'nft', ['list', 'set', 'inet', 'fairlead_firewall', 'confined'])
  t.same([...set.matchAll(/"([a-z]+[\d.]+)"/g)].map(([, name]) => name).sort(), ['br1.100', 'ptp0', 'ptp1'])
})
