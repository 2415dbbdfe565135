// Translation of addresses and what goes with it, put into the kernel and read back by nft.
import { test } from 'tap'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import {
  concat, ct, hasNoIngress, iifkind, ip, ip6, isForHost, isFromElsewhere, isFromItsLink, l4proto, markHas, nfproto, th,
} from './match.ts'
import { elements } from './query.ts'
import { accept, clearMark, dnatTo, dnatToMapped, drop, jump, setMark, snatTo, snatToMapped } from './statement.ts'
import { commit, type RulePart, type Transaction } from './transaction.ts'

const skip = lacks('nft')

type Written = readonly [text: string, parts: readonly RulePart[]]

const rules: Readonly<Record<'pre' | 'post' | 'other', readonly Written[]>> = {
  pre: [
    ['dnat ip to meta l4proto . ip daddr . th dport map @m4',
      [concat(l4proto, ip.daddr, th.dport).map('m4'), dnatToMapped('ip')]],
    ['dnat ip6 to meta l4proto . ip6 daddr . th dport map @m6',
      [concat(l4proto, ip6.daddr, th.dport).map('m6'), dnatToMapped('ip6')]],
    ['dnat ip to meta l4proto . th dport map @p4', [concat(l4proto, th.dport).map('p4'), dnatToMapped('ip')]],
    ['fib daddr type local jump other', [isForHost, jump('other')]],
    ['dnat ip to 10.1.2.3:80', [dnatTo('10.1.2.3', 80)]],
    ['dnat ip6 to [fd00::3]:80', [dnatTo('fd00::3', 80)]],
  ],
  post: [
    ['snat ip to ip saddr map @src', [ip.saddr.map('src'), snatToMapped('ip')]],
    ['snat ip to 192.0.2.9', [snatTo('192.0.2.9')]],
    ['snat ip6 to 2001:db8::9', [snatTo('2001:db8::9')]],
  ],
  other: [
    ['ct state established,related accept', [ct.state('established', 'related'), accept]],
    ['ct status dnat accept', [ct.isTranslated, accept]],
    ['meta mark & 0x00002000 != 0x00000000 accept', [markHas(0x2000), accept]],
    ['meta mark set meta mark | 0x00002000', [setMark(0x2000)]],
    ['meta mark set meta mark & 0xffffdfff', [clearMark(0x2000)]],
    ['meta l4proto . th dport @ports accept', [concat(l4proto, th.dport).inSet('ports'), accept]],
    ['ip daddr . meta l4proto . th dport @open accept', [concat(ip.daddr, l4proto, th.dport).inSet('open'), accept]],
    ['tcp dport 80 accept', [l4proto.is('tcp'), th.dport.is('80'), accept]],
    ['meta l4proto ipv6-icmp accept', [l4proto.is('ipv6-icmp'), accept]],
    ['meta iifkind "bridge" fib saddr . iif oif != 0 accept', [iifkind.is('bridge'), isFromItsLink, accept]],
    ['iif 0 fib saddr type != local accept', [hasNoIngress, isFromElsewhere, accept]],
    ['meta nfproto ipv4 drop', [nfproto.ipv4, drop]],
    ['meta nfproto ipv6 drop', [nfproto.ipv6, drop]],
  ],
}

const build = (tx: Transaction): void => {
  const table = tx.table('inet', 't').add()
  table.valueMap('m4', 'inet_proto . ipv4_addr . inet_service', 'ipv4_addr . inet_service').add()
    .insert('tcp . 192.0.2.1 . 8080', '10.1.2.3 . 80', { comment: 'four' })
  table.valueMap('m6', 'inet_proto . ipv6_addr . inet_service', 'ipv6_addr . inet_service').add()
    .insert('udp . 2001:db8::1 . 53', 'fd00::3 . 5353', { comment: 'six' })
  table.valueMap('p4', 'inet_proto . inet_service', 'ipv4_addr . inet_service').add()
    .insert('sctp . 65535', '10.1.2.3 . 1')
  table.valueMap('src', 'ipv4_addr', 'ipv4_addr').add().insert('10.1.2.3', '192.0.2.9')
  table.set('ports', 'inet_proto . inet_service').add().insert('tcp . 443')
  table.set('open', 'ipv4_addr . inet_proto . inet_service').add().insert('10.1.2.3 . udp . 53')
  const chains = {
    other: table.chain('other').add(),
    pre: table.chain('pre').add({ type: 'nat', hook: 'prerouting', priority: 'dstnat' }),
    post: table.chain('post').add({ type: 'nat', hook: 'postrouting', priority: 'srcnat' }),
  }
  for (const name of ['pre', 'post', 'other'] as const) {
    for (const [, parts] of rules[name]) chains[name].rule(...parts)
  }
}

test('nft reads back what was meant', { skip }, async t => {
  const ns = ownNamespace(t)
  commit(ns.netfilter, build)
  for (const name of ['pre', 'post', 'other'] as const) {
    const listed = output(ns, 'nft', ['list', 'chain', 'inet', 't', name]).split('\n').map(line => line.trim())
    t.same(listed.filter(line => line && !/^(table|chain|type|\})/.test(line)), rules[name].map(([text]) => text), name)
  }
  const listed = output(ns, 'nft', ['-n', 'list', 'table', 'inet', 't'])
  for (const element of [
    '6 . 192.0.2.1 . 8080 comment "four" : 10.1.2.3 . 80', '17 . 2001:db8::1 . 53 comment "six" : fd00::3 . 5353',
    '132 . 65535 : 10.1.2.3 . 1', '10.1.2.3 : 192.0.2.9', '6 . 443', '10.1.2.3 . 17 . 53',
  ]) t.match(listed, element)
})

test('a map of values is read', { skip }, async t => {
  const ns = ownNamespace(t)
  commit(ns.netfilter, build)
  const name = { family: 'inet', table: 't' } as const
  t.same(elements(ns.netfilter, name, 'm6', 'inet_proto . ipv6_addr . inet_service', 'ipv6_addr . inet_service'), [
    { key: 'udp . 2001:db8::1 . 53', verdict: undefined, value: 'fd00::3 . 5353', comment: 'six' },
  ])
  t.throws(() => commit(ns.netfilter, tx => {
    tx.table('inet', 't').set('ports', 'inet_proto . inet_service').insert('igmp . 1')
  }), RangeError)
  t.throws(() => commit(ns.netfilter, tx => {
    tx.table('inet', 't').set('ports', 'inet_proto . inet_service').insert('tcp . 65536')
  }), RangeError)
})
