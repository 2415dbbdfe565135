// Masquerading: packets that leave, packets that stay, and every trace that it leaves on the host.
import { test } from 'tap'
import { findElement } from '#netlink/nftables/query.ts'
import { atOnce } from '#tools/at-once.ts'
import { anotherNamespace, connect, lacks, output, ownNamespace, pings } from '#tools/kernel.ts'
import type { Attachment } from './attachment.ts'
import { attachmentStart } from './masquerade-reference.ts'
import * as masquerade from './masquerade.ts'
import type { Namespace } from './namespace.ts'
import { trySysctl, writeSysctl } from './sysctl.ts'
import { fairlead } from './table.ts'

const attachmentOf = (containerId: string, network = 'net1'): Attachment => ({ network, containerId, ifName: 'eth0' })
const one = attachmentOf('c1')
const two = attachmentOf('c2')
const addresses = ['10.1.2.3/24', 'fd00:1::3/64']
const ruleset = (host: Namespace): string => output(host, 'nft', ['list', 'ruleset'])

test('packets', { skip: lacks('nft') || lacks('ping') }, async t => {
  const host = ownNamespace(t)
  const outside = anotherNamespace(t)
  const pod = anotherNamespace(t)
  const neighbour = anotherNamespace(t)
  host.link.add({ name: 'br0', info: { kind: 'bridge' }, up: true })
  const bridge = host.link.get('br0').index
  for (const address of ['10.1.2.1/24', 'fd00:1::1/64']) host.addr.add({ index: bridge, address, noDad: true })
  connect({ ns: host, name: 'veth1', addresses: [], master: bridge }, { ns: pod, name: 'eth0', addresses })
  const near = ['10.1.2.4/24', 'fd00:1::4/64']
  connect({ ns: host, name: 'veth2', addresses: [], master: bridge }, { ns: neighbour, name: 'eth0', addresses: near })
  connect(
    { ns: host, name: 'up0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
    { ns: outside, name: 'up0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
  )
  for (const [dst, via] of [['0.0.0.0/0', '10.1.2.1'], ['::/0', 'fd00:1::1']] as const)
    pod.route.add({ dst, via, dev: pod.link.get('eth0').index })
  host.run(() => {
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
    // Has bridged packets pass the hooks of routed ones, which is how they would come to be masqueraded by mistake.
    for (const name of ['iptables', 'ip6tables']) trySysctl(`bridge/bridge-nf-call-${name}`, '1')
  })

  t.notOk(pings(pod, '192.0.2.2'), 'outside knows no way back to the container')
  masquerade.add(host, one, addresses)
  masquerade.add(host, two, near)
  const seen = (where: Namespace, family: string, address: string): string => {
    output(where, 'nft', ['-f', '-'], `table inet seen {
      chain input {
        type filter hook input priority 0
        ${family} saddr ${address} meta l4proto { icmp, icmpv6 } counter
      }
    }
`)
    return 'inet seen'
  }
  const count = (where: Namespace): number => {
    const found = Number(/packets (\d+)/.exec(ruleset(where))?.[1])
    output(where, 'nft', ['delete', 'table', 'inet', 'seen'])
    return found
  }
  for (const [family, out, back, near, own] of [
    ['ip', '192.0.2.2', '192.0.2.1', '10.1.2.4', '10.1.2.3'],
    ['ip6', '2001:db8::2', '2001:db8::1', 'fd00:1::4', 'fd00:1::3'],
  ] as const) {
    seen(outside, family, back)
    t.ok(pings(pod, out), `${out} answers`)
    t.ok(count(outside) > 0, `it has seen ${back}`)
    seen(neighbour, family, own)
    t.ok(pings(pod, near), `${near} answers`)
    t.ok(count(neighbour) > 0, `it has seen ${own}`)
  }
  masquerade.remove(host, one, addresses)
  t.notOk(pings(pod, '192.0.2.2'), 'removed')
  masquerade.remove(host, two)
  t.equal(ruleset(host), '', 'the last one takes everything along')
})

test('what is listed can be read back', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  masquerade.add(host, { network: 'n'.repeat(200), containerId: 'c'.repeat(200), ifName: 'we"ird' }, addresses)
  masquerade.add(host, one, ['10.9.0.1/32', '::1:2:3/128', '10.8.0.1/0'])
  const listed = ruleset(host)
  t.match(listed, '10.9.0.1 comment "fairlead:net1/c1/eth0" : goto from_10.9.0.1/32')
  output(host, 'nft', ['flush', 'ruleset'])
  output(host, 'nft', ['-f', '-'], listed)
  t.equal(ruleset(host), listed)
  masquerade.check(host, one, ['10.9.0.1/32', '::1:2:3/128'])
})

test('the whole of it', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  masquerade.add(host, one, addresses)
  t.equal(ruleset(host), `table inet fairlead {
	comment "Fairlead container networks"
	map masquerade4 {
		type ipv4_addr : verdict
		comment "containers whose address is hidden, and the chain of their subnet"
		elements = { 10.1.2.3 comment "fairlead:net1/c1/eth0" : goto from_10.1.2.0/24 }
	}

	map masquerade6 {
		type ipv6_addr : verdict
		comment "containers whose address is hidden, and the chain of their subnet"
		elements = { fd00:1::3 comment "fairlead:net1/c1/eth0" : goto from_fd00-1--/64 }
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr vmap @masquerade4
		ip6 saddr vmap @masquerade6
	}

	chain from_10.1.2.0/24 {
		comment "10.1.2.0/24"
		ip daddr 10.1.2.0/24 return
		ip daddr 224.0.0.0/4 return
		masquerade
	}

	chain from_fd00-1--/64 {
		comment "fd00:1::/64"
		ip6 daddr fd00:1::/64 return
		ip6 daddr ff00::/8 return
		masquerade
	}
}
`)
  masquerade.remove(host, one, ['no address', '10.1.2.3', 'fd00:1:0::3/64', '10.1.2.99/24'])
  t.equal(ruleset(host), '', 'removed by any text of its addresses')
})

test('leases go from hand to hand', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  const holder = (): string | undefined =>
    findElement(host.netfilter, fairlead, 'masquerade4', 'ipv4_addr', '10.1.2.3')?.comment
  masquerade.add(host, one, addresses)
  masquerade.add(host, one, addresses)
  masquerade.add(host, two, addresses)
  t.equal(holder(), 'fairlead:net1/c2/eth0', 'the later one has it')
  masquerade.remove(host, one, addresses)
  masquerade.remove(host, one)
  t.equal(holder(), 'fairlead:net1/c2/eth0', 'a late DEL does not take it away')
  masquerade.add(host, one, ['10.1.2.3/16'])
  masquerade.check(host, one, ['10.1.2.3/16'])
  t.throws(() => masquerade.check(host, two, addresses), /10\.1\.2\.3 .* belongs to fairlead:net1\/c1\/eth0/)
  masquerade.remove(host, two)
  masquerade.remove(host, one)
  t.equal(ruleset(host), '')
})

test('CHECK finds what is missing', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  t.throws(() => masquerade.check(host, one, addresses), /10\.1\.2\.3 is not in map masquerade4/)
  for (const [damage, message] of [
    ['delete element inet fairlead masquerade6 { fd00:1::3 }', /fd00:1::3 is not in map masquerade6/],
    ['flush chain inet fairlead postrouting', /postrouting .* no rule for map masquerade4/],
    ['flush chain inet fairlead from_10.1.2.0/24', /from_10\.1\.2\.0\/24 .* lost rules/],
  ] as const) {
    masquerade.add(host, one, addresses)
    masquerade.check(host, one, addresses)
    output(host, 'nft', ['-f', '-'], `${damage}\n`)
    t.throws(() => masquerade.check(host, one, addresses), message)
    output(host, 'nft', ['delete', 'table', 'inet', 'fairlead'])
  }
})

test('GC keeps to its network', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  const long = { network: 'net1', containerId: 'x'.repeat(150), ifName: 'eth0' }
  const foreign = attachmentOf('c1', 'net10')
  masquerade.add(host, one, addresses)
  masquerade.add(host, two, ['10.1.2.4/24'])
  masquerade.add(host, long, ['10.1.2.5/24'])
  masquerade.add(host, foreign, ['10.1.2.6/24'])
  masquerade.collect(host, 'net1', [one, long])
  masquerade.check(host, one, addresses)
  masquerade.check(host, long, ['10.1.2.5/24'])
  t.throws(() => masquerade.check(host, two, ['10.1.2.4/24']))
  masquerade.collect(host, 'net1', [])
  masquerade.check(host, foreign, ['10.1.2.6/24'])
  t.equal(ruleset(host).match(/comment "fairlead:/g)?.length, 1)
})

test('the rules of the Go suite in nftables', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  t.equal(attachmentStart({ network: 'network', containerId: 'container', ifName: 'interface' }).length, 33)
  const rule = (attachment: Attachment, ip: string): string =>
    `    ip saddr ${ip} ip daddr != 10.1.2.0/24 masquerade comment ` +
    `"${attachmentStart(attachment)}, net: ${attachment.network}, if: eth0, id: ${attachment.containerId}"\n`
  const three = attachmentOf('c3')
  const foreign = attachmentOf('c1', 'net2')
  output(host, 'nft', ['-f', '-'], `table inet cni_plugins_masquerade {
  chain masq_checks {
${rule(one, '10.1.2.3')}${rule(two, '10.1.2.4')}${rule(three, '10.1.2.5')}${rule(foreign, '10.1.2.6')}  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip daddr 224.0.0.0/4 return
    goto masq_checks
  }
}
`)
  const left = (): string[] => [...ruleset(host).matchAll(/ip saddr (\S+)/g)].map(([, ip]) => ip!)
  masquerade.check(host, one, ['10.1.2.3/24'])
  masquerade.remove(host, one)
  t.same(left(), ['10.1.2.4', '10.1.2.5', '10.1.2.6'])
  t.throws(() => masquerade.check(host, one, ['10.1.2.3/24']), /10\.1\.2\.3 is not in map masquerade4/)
  masquerade.collect(host, 'net1', [two])
  t.same(left(), ['10.1.2.4', '10.1.2.6'])
})

test('many at once', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  const script = `
    import { Namespace } from '${import.meta.resolve('./namespace.ts')}'
    import * as masquerade from '${import.meta.resolve('./masquerade.ts')}'
    using host = Namespace.host()
    const own = Number(process.env.OWN)
    for (let round = 0; round < 20; round++) for (let i = 0; i < 5; i++) {
      const attachment = { network: 'net1', containerId: \`c\${own}-\${i}\`, ifName: 'eth0' }
      const addresses = [\`10.1.\${own}.\${i}/\${16 + i}\`, \`fd00::\${own}:\${i}/64\`]
      masquerade.add(host, attachment, addresses)
      masquerade.check(host, attachment, addresses)
      if (round < 19 || i > 0) masquerade.remove(host, attachment, i % 2 ? addresses : undefined)
    }`
  const results = await atOnce(script, Array.from({ length: 8 }, (_, own) => ({ OWN: `${own}` })))
  t.same(results, results.map(() => '0'))
  for (let own = 0; own < 8; own++) masquerade.remove(host, attachmentOf(`c${own}-0`))
  t.equal(ruleset(host), '')
})
