// What we commit is what nft lists, and what nft lists it reads back.
import { test } from 'tap'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import { concat, ether, iifname, ip, ip6, oifname } from './match.ts'
import { chains, elements, findChain, findElement, generation, revise, rules, tables } from './query.ts'
import { accept, counter, drop, goto, jump, masquerade, returns } from './statement.ts'
import { commit, type Transaction } from './transaction.ts'

const skip = lacks('nft')
const inet = { family: 'inet', table: 't' } as const

const everything = (tx: Transaction): void => {
  const table = tx.table('inet', 't').add({ comment: 'a table' })
  const sub = table.chain('from_10.1.2.0/24').add({ comment: '10.1.2.0/24' })
  sub.rule(ip.daddr.in('10.1.2.0/24'), returns, { comment: 'fairlead:net/id/eth0' })
    .rule(ip6.daddr.notIn('fd00::/61'), counter, accept)
    .rule(masquerade)
  table.map('m4', 'ipv4_addr').add({
    comment: 'a map' }).insert('10.1.2.3', goto('from_10.1.2.0/24'), { comment: 'an element',
  })
    .insert('10.1.2.4', drop)
  table.map('m6', 'ipv6_addr').add().insert('fd00::3', jump('from_10.1.2.0/24'))
  table.set('names', 'ifname').add({ comment: 'a set' }).insert('veth0')
  table.chain('postrouting').add({ type: 'nat', hook: 'postrouting', priority: 'srcnat' })
    .rule(ip.saddr.vmap('m4')).rule(ip6.saddr.vmap('m6')).rule(oifname.isNot('eth0'), iifname.inSet('names'), drop)
  const bridge = tx.table('bridge', 't').add()
  bridge.set('pairs', 'ifname . ether_addr').add().insert('veth0 . 02:00:00:00:00:01', undefined, { comment: 'a pair' })
  bridge.chain('prerouting').add({ type: 'filter', hook: 'prerouting', priority: -300, policy: 'drop' })
    .rule(concat(iifname, ether.saddr).notInSet('pairs'), drop)
}

const listing = `table inet t {
	comment "a table"
	map m4 {
		type ipv4_addr : verdict
		comment "a map"
		elements = { 10.1.2.3 comment "an element" : goto from_10.1.2.0/24,
			     10.1.2.4 : drop }
	}

	map m6 {
		type ipv6_addr : verdict
		elements = { fd00::3 : jump from_10.1.2.0/24 }
	}

	set names {
		type ifname
		comment "a set"
		elements = { "veth0" }
	}

	chain from_10.1.2.0/24 {
		comment "10.1.2.0/24"
		ip daddr 10.1.2.0/24 return comment "fairlead:net/id/eth0"
		ip6 daddr != fd00::/61 counter packets 0 bytes 0 accept
		masquerade
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr vmap @m4
		ip6 saddr vmap @m6
		oifname != "eth0" iifname @names drop
	}
}
table bridge t {
	set pairs {
		type ifname . ether_addr
		elements = { "veth0" . 02:00:00:00:00:01 comment "a pair" }
	}

	chain prerouting {
		type filter hook prerouting priority dstnat; policy drop;
		iifname . ether saddr != @pairs drop
	}
}
`

/** A hash map lists its elements in no order. */
const sorted = (text: string): string =>
  text.replace(/(?<=elements = \{ )10[^}]*(?= \})/, all => all.split(/,\s+/).sort().join(', '))

test('what is committed is what nft lists, and reads back', { skip }, async t => {
  const ns = ownNamespace(t)
  commit(ns.netfilter, everything)
  const listed = output(ns, 'nft', ['list', 'ruleset'])
  t.equal(sorted(listed), sorted(listing))
  output(ns, 'nft', ['flush', 'ruleset'])
  output(ns, 'nft', ['-f', '-'], listed)
  t.equal(sorted(output(ns, 'nft', ['list', 'ruleset'])), sorted(listing))
  const [, { map }] = JSON.parse(output(ns, 'nft', ['-j', 'list', 'map', 'inet', 't', 'm6'])).nftables
  t.match(map.elem, [['fd00::3', { jump: { target: 'from_10.1.2.0/24' } }]])
})

test('twice is once', { skip }, async t => {
  const ns = ownNamespace(t)
  const shared = (tx: Transaction): void => {
    const table = tx.table('inet', 't').add()
    table.map('m', 'ipv4_addr').add()
    table.chain('c').add().flush().rule(drop)
    table.chain('b').add({ type: 'nat', hook: 'postrouting', priority: 'srcnat' }).flush().rule(ip.saddr.vmap('m'))
    table.map('m', 'ipv4_addr').replace('10.0.0.1', goto('c'), { comment: 'x' })
  }
  commit(ns.netfilter, shared)
  const once = output(ns, 'nft', ['list', 'ruleset'])
  commit(ns.netfilter, shared)
  t.equal(output(ns, 'nft', ['list', 'ruleset']), once)
})

test('an element takes the place of one with another comment', { skip }, async t => {
  const ns = ownNamespace(t)
  commit(ns.netfilter, everything)
  commit(ns.netfilter, tx => {
    tx.table('inet', 't').map('m4', 'ipv4_addr').replace('10.1.2.4', drop, { comment: 'new' })
  })
  const found = findElement(ns.netfilter, inet, 'm4', 'ipv4_addr', '10.1.2.4')
  t.same(found, { key: '10.1.2.4', verdict: { code: 'drop' }, comment: 'new' })
  t.throws(() => commit(ns.netfilter, tx => {
    tx.table('inet', 't').map('m4', 'ipv4_addr').insert('10.1.2.4', drop, { exclusive: true })
  }), { code: 'EEXIST', operation: 'add element inet t m4 { 10.1.2.4 }' })
})

test('all or nothing, and the refusal has a name', { skip }, async t => {
  const ns = ownNamespace(t)
  t.throws(() => commit(ns.netfilter, tx => {
    tx.table('inet', 'good').add()
    tx.table('inet', 'bad').chain('c').add()
  }), { name: 'NetlinkError', operation: 'add chain inet bad c', code: 'ENOENT' })
  t.equal(tables(ns.netfilter).size, 0)
  commit(ns.netfilter, () => {})
})

test('questions', { skip }, async t => {
  const ns = ownNamespace(t)
  t.same(elements(ns.netfilter, inet, 'm4', 'ipv4_addr'), [], 'no table')
  t.equal(findElement(ns.netfilter, inet, 'm4', 'ipv4_addr', '10.1.2.3'), undefined)
  t.equal(findChain(ns.netfilter, inet, 'postrouting'), undefined)
  t.same(rules(ns.netfilter, inet, 'postrouting'), [])
  commit(ns.netfilter, everything)
  t.same([...tables(ns.netfilter)].sort(), ['bridge t', 'inet t'])
  t.same(chains(ns.netfilter, inet).map(({ name, use, base, comment }) => [name, use, base, comment]),
    [['from_10.1.2.0/24', 5, false, '10.1.2.0/24'], ['postrouting', 3, true, '']],
    'three rules are in there and two elements lead there')
  t.same(elements(ns.netfilter, inet, 'm4', 'ipv4_addr').sort((a, b) => a.key < b.key ? -1 : 1), [
    { key: '10.1.2.3', verdict: { code: 'goto', chain: 'from_10.1.2.0/24' }, comment: 'an element' },
    { key: '10.1.2.4', verdict: { code: 'drop' }, comment: '' },
  ])
  t.same(elements(ns.netfilter, { family: 'bridge', table: 't' }, 'pairs', 'ifname . ether_addr'),
    [{ key: 'veth0 . 02:00:00:00:00:01', verdict: undefined, comment: 'a pair' }])
  t.equal(findElement(ns.netfilter, inet, 'm4', 'ipv4_addr', '10.1.2.9'), undefined)
  const [first] = rules(ns.netfilter, inet, 'from_10.1.2.0/24')
  t.equal(first?.comment, 'fairlead:net/id/eth0')
  commit(ns.netfilter, tx => tx.table('inet', 't').chain('from_10.1.2.0/24').deleteRule(first!.handle))
  t.equal(rules(ns.netfilter, inet, 'from_10.1.2.0/24').length, 2)
})

test('a look and a change are one step', { skip }, async t => {
  const ns = ownNamespace(t)
  const seen = generation(ns.netfilter)
  commit(ns.netfilter, tx => { tx.table('inet', 'other').add() })
  t.throws(() => commit(ns.netfilter, tx => { tx.table('inet', 't').add() }, seen), { code: 'ERESTART' })
  let runs = 0
  revise(ns.netfilter, tx => {
    if (++runs === 1) commit(ns.netfilter, other => { other.table('inet', 'another').add() })
    tx.table('inet', 't').add()
  })
  t.equal(runs, 2)
  t.ok(tables(ns.netfilter).has('inet t'))
})

test('a long transaction', { skip }, async t => {
  const ns = ownNamespace(t)
  const keys = Array.from({ length: 5000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
  commit(ns.netfilter, tx => {
    const map = tx.table('inet', 't').add().map('m', 'ipv4_addr').add()
    for (const key of keys) map.insert(key, drop, { comment: `comment of ${key}` })
  })
  t.equal(elements(ns.netfilter, inet, 'm', 'ipv4_addr').length, keys.length)
})

test('more refusals than a socket has room for', { skip }, async t => {
  const ns = ownNamespace(t)
  const write = (): void => commit(ns.netfilter, tx => {
    const map = tx.table('inet', 't').add().map('m', 'ipv4_addr').add()
    for (let i = 0; i < 5000; i++) map.insert(`10.0.${i >> 8}.${i & 255}`, drop, { exclusive: true })
  })
  write()
  t.throws(write, { name: 'NetlinkError', code: 'EEXIST' }, 'the first one counts')
  t.equal(elements(ns.netfilter, inet, 'm', 'ipv4_addr').length, 5000)
})
