// Internal networks: what is routed to and from the bridge is dropped, what stays on it and what goes to the host is
// not.
import { test } from 'tap'
import { anotherNamespace, connect, lacks, output, ownNamespace, pings } from '#tools/kernel.ts'
import * as internal from './internal.ts'
import * as masquerade from './masquerade.ts'
import { trySysctl, writeSysctl } from './sysctl.ts'

test('packets', { skip: lacks('nft') || lacks('ping') }, async t => {
  const host = ownNamespace(t)
  const outside = anotherNamespace(t)
  const pods = [3, 4].map(() => anotherNamespace(t))
  host.link.add({ name: 'br0', info: { kind: 'bridge' }, up: true })
  const bridge = host.link.get('br0').index
  for (const address of ['10.1.2.1/24', 'fd00:1::1/64']) host.addr.add({ index: bridge, address, noDad: true })
  pods.forEach((pod, i) => {
    const addresses = [`10.1.2.${i + 3}/24`, `fd00:1::${i + 3}/64`]
    connect({ ns: host, name: `veth${i}`, addresses: [], master: bridge }, { ns: pod, name: 'eth0', addresses })
    for (const [dst, via] of [['0.0.0.0/0', '10.1.2.1'], ['::/0', 'fd00:1::1']] as const)
      pod.route.add({ dst, via, dev: pod.link.get('eth0').index })
  })
  connect(
    { ns: host, name: 'up0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
    { ns: outside, name: 'up0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
  )
  for (const [dst, via] of [['10.1.2.0/24', '192.0.2.1'], ['fd00:1::/64', '2001:db8::1']] as const)
    outside.route.add({ dst, via, dev: outside.link.get('up0').index })
  host.run(() => {
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
    for (const name of ['iptables', 'ip6tables']) trySysctl(`bridge/bridge-nf-call-${name}`, '1')
  })
  const [pod] = pods
  for (const isolated of [false, true, false]) {
    if (isolated) internal.add(host, 'br0')
    else internal.remove(host, 'br0')
    for (const [out, inside, near, gateway] of [
      ['192.0.2.2', '10.1.2.3', '10.1.2.4', '10.1.2.1'], ['2001:db8::2', 'fd00:1::3', 'fd00:1::4', 'fd00:1::1'],
    ] as const) {
      t.equal(pings(pod!, out), !isolated, `${inside} reaches ${out}: ${!isolated}`)
      t.equal(pings(outside, inside), !isolated, `${out} reaches ${inside}: ${!isolated}`)
      t.ok(pings(pod!, near), 'its neighbour')
      t.ok(pings(pod!, gateway), 'the host')
    }
  }
})

test('state', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  const list = (): string => output(host, 'nft', ['list', 'ruleset'])
  internal.remove(host, 'br0')
  t.throws(() => internal.check(host, 'br0'), /br0 in map internal is missing/)
  for (const bridge of ['br0', 'br-0.1', 'we"ird:@br']) {
    internal.add(host, bridge)
    internal.add(host, bridge)
    internal.check(host, bridge)
  }
  internal.remove(host, 'we"ird:@br')
  const listed = list()
  output(host, 'nft', ['flush', 'ruleset'])
  output(host, 'nft', ['-f', '-'], listed)
  t.equal(list(), listed, 'reads back')
  output(host, 'nft', ['flush', 'chain', 'inet', 'fairlead', 'internal_br0'])
  t.throws(() => internal.check(host, 'br0'), /internal_br0 is missing/)
  internal.add(host, 'br0')
  internal.check(host, 'br0')

  const attachment = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
  masquerade.add(host, attachment, ['10.1.2.3/24'])
  internal.remove(host, 'br0')
  internal.check(host, 'br-0.1')
  masquerade.remove(host, attachment)
  internal.check(host, 'br-0.1')
  internal.remove(host, 'br-0.1')
  t.equal(list(), '', 'the last one takes everything along')
})
