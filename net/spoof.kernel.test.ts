// MAC spoof check: frames with a foreign source address, and every trace that the check leaves on the host.
import { test } from 'tap'
import { anotherNamespace, connect, lacks, output, ownNamespace, pings } from '#tools/kernel.ts'
import { hostLinkName, type Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import * as spoof from './spoof.ts'

const attachmentOf = (containerId: string, network = 'net1'): Attachment => ({ network, containerId, ifName: 'eth0' })
const one = attachmentOf('c1')
const two = attachmentOf('c2')
const mac = '02:00:00:00:00:01'
const other = '02:00:00:00:00:02'
const comments = (host: Namespace): string[] =>
  [...new Set(output(host, 'nft', ['list', 'ruleset']).match(/fairlead:[^"]*/g))].sort()

test('frames', { skip: lacks('nft') || lacks('ping') }, async t => {
  const host = ownNamespace(t)
  host.link.add({ name: 'br0', info: { kind: 'bridge' }, up: true })
  const bridge = host.link.get('br0').index
  const [pod, neighbour] = [one, two].map((attachment, i) => {
    const ns = anotherNamespace(t)
    connect(
      { ns: host, name: hostLinkName(attachment), addresses: [], master: bridge },
      { ns, name: 'eth0', addresses: [`10.1.2.${i + 3}/24`] },
    )
    return ns
  })
  const { index } = pod!.link.get('eth0')
  pod!.link.set(index, { address: other })
  t.ok(pings(pod!, '10.1.2.4'), 'without the check any address will do')
  spoof.add(host, one, mac)
  t.notOk(pings(pod!, '10.1.2.4'), 'a foreign address is dropped')
  pod!.link.set(index, { address: mac })
  t.ok(pings(pod!, '10.1.2.4'), 'its own passes')
  t.ok(pings(neighbour!, '10.1.2.3'), 'who is not bound is not looked at')
  spoof.add(host, one, other)
  pod!.link.set(index, { address: other })
  t.ok(pings(pod!, '10.1.2.4'), 'bound anew')
  spoof.remove(host, one)
  t.same(comments(host), [])
})

test('elements', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  spoof.remove(host, one)
  spoof.collect(host, 'net1', [])
  t.throws(() => spoof.check(host, one, mac), /macspoofchk: veth\w{11} in set checked is missing/)
  spoof.add(host, one, mac)
  spoof.add(host, one, mac)
  spoof.add(host, two, '02-00-00-00-00-02'.toUpperCase())
  spoof.check(host, one, mac)
  spoof.check(host, two, other)
  t.throws(() => spoof.check(host, one, other), /in set allowed is missing/)
  const listed = output(host, 'nft', ['list', 'ruleset'])
  output(host, 'nft', ['flush', 'ruleset'])
  output(host, 'nft', ['-f', '-'], listed)
  t.equal(output(host, 'nft', ['list', 'ruleset']), listed, 'reads back')
  spoof.remove(host, one, mac)
  spoof.remove(host, one, mac)
  t.same(comments(host), ['fairlead:net1/c2/eth0'])
  spoof.add(host, one, mac)
  spoof.remove(host, one, other)
  t.same(comments(host), ['fairlead:net1/c2/eth0'], 'a wrong address does not keep it')
  output(host, 'nft', ['flush', 'chain', 'bridge', 'fairlead', 'prerouting'])
  t.throws(() => spoof.check(host, two, other), /the rule of chain prerouting is missing/)
  spoof.add(host, two, other)
  spoof.check(host, two, other)
})

test('GC keeps to its network', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  for (const attachment of [one, two, attachmentOf('c1', 'net10')]) spoof.add(host, attachment, mac)
  spoof.collect(host, 'net1', [two])
  t.same(comments(host), ['fairlead:net1/c2/eth0', 'fairlead:net10/c1/eth0'])
})

test('the chains of the Go suite', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  for (const container of ['c1', 'c2']) {
    const chain = `cni-br-iface-${container}-eth0`
    const remark = `comment "macspoofchk-${container}-eth0"`
    output(host, 'nft', ['-f', '-'], `table bridge nat {
  chain ${chain}-mac {
    ether saddr ${mac} return ${remark}
    drop ${remark}
  }
  chain ${chain} {
    jump ${chain}-mac ${remark}
  }
  chain PREROUTING {
    type filter hook prerouting priority -300; policy accept;
    iifname "veth${container}" jump ${chain} ${remark}
  }
}
`)
  }
  spoof.check(host, one, mac)
  spoof.remove(host, one)
  t.throws(() => spoof.check(host, one, mac))
  spoof.remove(host, one)
  const left = output(host, 'nft', ['list', 'ruleset'])
  t.notMatch(left, 'c1')
  t.match(left, /iifname "vethc2" jump cni-br-iface-c2-eth0 comment/)
})
