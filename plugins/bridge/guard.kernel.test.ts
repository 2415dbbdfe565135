// What one network does to the guard of a bridge that another one shares, and what an isolated one keeps from the host.
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { guardOf } from '#net/gateway-mode.ts'
import { ask, serve, type Question } from '#tools/conversation.ts'
import { lacks, output } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { bridge } from './bridge.ts'

const skip = lacks('ip') || lacks('nft')
const both = (mode: string): Json => ({ gatewayMode: { ipv4: mode, ipv6: mode } })
const addresses = ['10.1.2.2', 'fd00:1::2'] as const

const questions = (where: readonly string[]): Question[] =>
  where.map(address => ({ protocol: 'tcp', address, port: 80 }))

test('an ADD that is refused leaves the guard of others as it was', { skip }, async t => {
  const node = new Node(t, bridge, { bridge: 'br0', isDefaultGateway: true }, '10.1.2.0/24')
  const { host } = node
  node.call('ADD', node.pod(), node.config(both('nat')))
  const before = output(host, 'nft', ['list', 'ruleset'])
  const full = { type: 'host-local', dataDir: node.leases, ranges: [[{ subnet: '10.1.2.0/24', rangeEnd: '10.1.2.1' }]] }
  for (const keys of [both('nat-unprotected'), { internal: true, isDefaultGateway: false, isGateway: true }, {}]) {
    const refused = node.config({ name: 'other', ipam: full, ...keys })
    t.throws(() => node.call('ADD', node.pod(), refused, { containerId: 'c2' }), JSON.stringify(keys))
    t.equal(output(host, 'nft', ['list', 'ruleset']), before)
  }
})

test('the latest container\'s configuration counts, also when it says nothing', { skip }, async t => {
  const node = new Node(t, bridge, { bridge: 'ipv6=routed', isDefaultGateway: true }, '10.1.2.0/24')
  const { host } = node
  node.call('ADD', node.pod(), node.config({ ...both('nat'), gatewayMode: { ipv4: 'nat' }, icc: false }))
  t.same(guardOf(host, 'ipv6=routed'), { modes: { ipv4: 'nat', ipv6: undefined }, trusts: false })
  node.call('ADD', node.pod(), node.config(), { containerId: 'c2' })
  t.equal(guardOf(host, 'ipv6=routed'), undefined)
  t.notMatch(output(host, 'nft', ['list', 'ruleset']), /ipv6=routed/)
})

test('internal networks', { skip }, async t => {
  const basis = { bridge: 'br0', isGateway: true, internal: true }
  const node = new Node(t, bridge, basis, '10.1.2.0/24', 'fd00:1::/64')
  const { host } = node
  output(host, 'sysctl', ['-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
  const [one, two] = [node.pod(), node.pod()]
  const add = (keys: Json): void =>
    [one, two].forEach((pod, i) => node.call('ADD', pod, node.config(keys), { containerId: `c${i}` }))
  await serve(t, one, 80)
  await serve(t, host, 80)

  add({ icc: false })
  for (const [dst, via] of [['10.1.2.2/32', '10.1.2.1'], ['fd00:1::2/128', 'fd00:1::1']] as const)
    two.route.add({ dst, via, dev: two.link.get('eth0').index })
  t.same(await ask(two, questions(addresses)), [undefined, undefined], 'icc false, by way of the gateway')
  t.same((await ask(two, questions(['10.1.2.1', 'fd00:1::1']))).map(answer => answer?.port), [80, 80], 'the gateway')
  for (const [i, pod] of [one, two].entries()) node.call('DEL', pod, node.config(), { containerId: `c${i}` })
  node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': [] }))

  add(both('isolated'))
  const linkLocal = host.addr.list(host.link.get('br0').index)
    .map(({ address }) => address.split('/')[0]!).find(address => address.startsWith('fe80'))
  t.ok(linkLocal)
  t.same(await ask(two, questions([`${linkLocal}%eth0`])), [undefined], 'the host, by its link-local address')
  output(host, 'nft', ['flush', 'chain', 'inet', 'fairlead', 'input'])
  t.same((await ask(two, questions([`${linkLocal}%eth0`]))).map(answer => answer?.port), [80], 'without the guard')
  for (const [i, pod] of [one, two].entries()) node.call('DEL', pod, node.config(), { containerId: `c${i}` })
  node.call('GC', undefined, node.config({ 'cni.dev/valid-attachments': [] }))
  t.equal(output(host, 'nft', ['list', 'ruleset']), '')
})
