// Published ports of the Go suite in nftables: rulesets that its versions have left, and what we do about them.
import { test } from 'tap'
import { tables } from '#netlink/nftables/query.ts'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import type { Attachment } from './attachment.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping, Publication } from './publication.ts'
import * as reference from './published-reference.ts'

// As `nft list ruleset` printed them behind ADD for c1 and c2, the latter with conditions.
const rules4 = {
  plain: `tcp dport 8080 dnat to 10.1.2.3:80 comment "c1"
		udp dport 53 dnat to 10.1.2.3:5353 comment "c1"
		sctp dport 8083 dnat to 10.1.2.3:83 comment "c1"
		tcp dport 9090 dnat to 10.1.2.4:80 comment "c2"`,
  address: 'ip daddr 192.0.2.1 tcp dport 8081 dnat to 10.1.2.3:81 comment "c1"',
  masquerading: `ip saddr 10.1.2.3 ip daddr 10.1.2.3 masquerade comment "c1"
		ip saddr 127.0.0.1 ip daddr 10.1.2.3 masquerade comment "c1"
		ip saddr 10.1.2.4 ip daddr 10.1.2.4 masquerade comment "c2"
		ip saddr 127.0.0.1 ip daddr 10.1.2.4 masquerade comment "c2"`,
}
const rules6 = {
  plain: `tcp dport 8080 dnat to [fd00:1::3]:80 comment "c1"
		udp dport 53 dnat to [fd00:1::3]:5353 comment "c1"
		tcp dport 9090 dnat to [fd00:1::4]:80 comment "c2"`,
  address: 'ip6 daddr 2001:db8::1 tcp dport 8084 dnat to [fd00:1::3]:84 comment "c1"',
  masquerading: `ip6 saddr fd00:1::3 ip6 daddr fd00:1::3 masquerade comment "c1"
		ip6 saddr fd00:1::4 ip6 daddr fd00:1::4 masquerade comment "c2"`,
}
const rulesets = {
  '1.9.1': (family: string, { plain, address, masquerading }: typeof rules4): string => `table ${family} cni_hostport {
	comment "CNI portmap plugin"
	chain hostports {
		${plain}
		${address}
	}

	chain hostip_hostports {
	}

	chain hostports_all {
		jump hostip_hostports
		jump hostports
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifname != "foo" fib daddr type local jump hostports_all
	}

	chain output {
		type nat hook output priority -100; policy accept;
		iifname != "foo" fib daddr type local jump hostports_all
	}

	chain masquerading {
		type nat hook postrouting priority srcnat; policy accept;
		${masquerading}
	}
}
`,
  // And 1.6.2; of 1.6.0 we have a chain that its successors never looked at.
  '1.8.0': (family: string, { plain, address, masquerading }: typeof rules4): string => `table ${family} cni_hostport {
	comment "CNI portmap plugin"
	chain hostports {
		${plain}
	}

	chain hostip_hostports {
		${address}
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifname != "foo" jump hostip_hostports
		iifname != "foo" jump hostports
	}

	chain input {
		type nat hook input priority 100; policy accept;
	}

	chain output {
		type nat hook output priority -100; policy accept;
		iifname != "foo" jump hostip_hostports
		iifname != "foo" fib daddr type local jump hostports
	}

	chain masquerading {
		type nat hook postrouting priority srcnat; policy accept;
		${masquerading}
	}
}
`,
}

const one: Attachment = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
const two: Attachment = { ...one, containerId: 'c2' }
const mapping = (ip: string, hostPort: number, containerPort: number, extra: Partial<Mapping> = {}): Mapping =>
  ({ protocol: 'tcp', hostIp: undefined, hostPort, containerIp: ip, containerPort, ...extra })
const mappings: readonly Mapping[] = [
  mapping('10.1.2.3', 8080, 80), mapping('fd00:1::3', 8080, 80), mapping('10.1.2.3', 53, 5353, { protocol: 'udp' }),
  mapping('10.1.2.3', 8081, 81, { hostIp: '192.0.2.1' }), mapping('10.1.2.3', 8083, 83, { protocol: 'sctp' }),
  mapping('fd00:1::3', 8084, 84, { hostIp: '2001:db8::1' }),
]
const publicationOf = (attachment: Attachment, own: readonly Mapping[]): Publication => ({
  attachment, mappings: own, addresses: ['10.1.2.3/24', 'fd00:1::3/64'], snat: true, masqAll: false, markMasqBit: 13,
  externalSetMarkChain: undefined, conditions: { ipv4: [], ipv6: [] },
})

for (const [version, write] of Object.entries(rulesets)) {
  test(`version ${version}`, { skip: lacks('nft') }, async t => {
    const host = ownNamespace(t)
    const ruleset = (): string => output(host, 'nft', ['list', 'ruleset'])
    const fill = (where: Namespace): string => {
      const text = write('ip', rules4) + write('ip6', rules6)
      output(where, 'nft', ['-f', '-'], `flush ruleset\n${text}`)
      return text
    }
    const without = (pattern: RegExp): string =>
      fill(host).split('\n').filter(line => !pattern.test(line)).join('\n')
    const present = (): ReadonlySet<string> => tables(host.netfilter)

    t.notOk(reference.isThere(present()))
    t.equal(fill(host), ruleset(), 'as it is listed')
    t.ok(reference.isThere(present()))
    const rest = without(/"c1"/)
    reference.remove(host, present(), one)
    t.equal(ruleset(), rest)
    reference.remove(host, present(), one)
    t.equal(ruleset(), rest)
    reference.remove(host, present(), two)
    t.equal(ruleset(), '', 'the last one takes the tables along')

    const both = without(/10\.1\.2\.3.*"c1"/)
    reference.remove(host, present(), one, ['10.1.2.3/24', 'fe80::1', 'none'])
    t.equal(ruleset(), both, 'what leads to another address is of another network')

    fill(host)
    const covers = (...more: Mapping[]): boolean => reference.covers(host, publicationOf(one, [...mappings, ...more]))
    t.ok(covers())
    t.notOk(reference.covers(host, publicationOf(two, mappings)))
    for (const foreign of [
      mapping('10.1.2.3', 8080, 81), mapping('10.1.2.3', 8081, 81), mapping('10.1.2.4', 8080, 80),
      mapping('10.1.2.3', 8080, 80, { protocol: 'udp' }), mapping('fd00:1::3', 53, 5353),
    ]) t.notOk(covers(foreign), JSON.stringify(foreign))
    output(host, 'nft', ['flush', 'chain', 'ip6', 'cni_hostport', 'output'])
    t.notOk(covers(), 'packets do not get there')

    const untouched = fill(host)
    reference.collect(host, present(), [two], ['10.9.9.9/24'])
    t.equal(ruleset(), untouched, 'whose network it is nobody knows')
    const freed = without(/10\.1\.2\.3.*"c1"/)
    reference.collect(host, present(), [two], ['10.1.2.3'])
    t.equal(ruleset(), freed, 'the address belongs to somebody else')
    output(host, 'nft', ['add', 'rule', 'ip6', 'cni_hostport', 'hostports',
      'tcp dport 99 dnat to [fd00:1::3]:80 comment "c3"'])
    const later = ruleset().split('\n').filter(line => !/fd00:1::3.*"c1"/.test(line)).join('\n')
    reference.collect(host, present(), [two, { ...one, containerId: 'c3' }])
    t.equal(ruleset(), later, 'a valid container has the address now')
  })
}

test('a table with more in it stays', { skip: lacks('nft') }, async t => {
  const host = ownNamespace(t)
  output(host, 'nft', ['-f', '-'], 'table ip cni_hostport {\n\tchain mine {\n\t}\n}\n')
  reference.remove(host, tables(host.netfilter), one)
  t.match(output(host, 'nft', ['list', 'ruleset']), 'chain mine')
})
