// Ports that others have published with the rules of the Go suite are refused.
import { rmSync } from 'node:fs'
import process from 'node:process'
import { test } from 'tap'
import { tables } from '#netlink/nftables/query.ts'
import { lacks, output, ownNamespace } from '#tools/kernel.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping, Publication } from './publication.ts'
import { refusePublished } from './published-foreign.ts'
import * as iptables from './published-iptables.ts'

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

const mapping = (hostPort: number, extra: Partial<Mapping> = {}): Mapping =>
  ({ protocol: 'tcp', hostIp: undefined, hostPort, containerIp: '10.1.2.3', containerPort: 80, ...extra })
const publicationOf = (containerId: string, ...mappings: Mapping[]): Publication => ({
  attachment: { network: 'net1', containerId, ifName: 'eth0' }, mappings, addresses: ['10.1.2.3/24', 'fd00:1::3/64'],
  snat: true, masqAll: false, markMasqBit: 13, externalSetMarkChain: undefined, conditions: { ipv4: [], ipv6: [] },
})
const taken = [mapping(8080), mapping(8081, { hostIp: '192.0.2.1' }), mapping(8082, { containerIp: 'fd00:1::3' })]

const cases: readonly (readonly [free: boolean, wanted: Mapping])[] = [
  [false, mapping(8080)], [false, mapping(8080, { hostIp: '192.0.2.1' })], [true, mapping(808)],
  [true, mapping(8080, { protocol: 'udp' })], [true, mapping(8080, { containerIp: 'fd00:1::3' })],
  [false, mapping(8081)], [false, mapping(8081, { hostIp: '192.0.2.1' })],
  [true, mapping(8081, { hostIp: '192.0.2.2' })],
  [false, mapping(8082, { containerIp: 'fd00:1::3', hostIp: '2001:db8::1' })], [true, mapping(8082)],
]

const ways = {
  iptables: {
    skip: lacks('iptables-restore'), words: /published by container c1 \(network net1\) with iptables/,
    publish: (host: Namespace): void => iptables.add(host, publicationOf('c1', ...taken)),
  },
  nftables: {
    skip: lacks('nft'), words: /published by container c1, in table cni_hostport/,
    publish: (host: Namespace): unknown => output(host, 'nft', ['-f', '-'], `
      table ip cni_hostport {
        chain hostports {
          tcp dport 8080 dnat to 10.1.2.3:80 comment "c1"
        }
        chain hostip_hostports {
          ip daddr 192.0.2.1 tcp dport 8081 dnat to 10.1.2.3:80 comment "c1"
        }
        chain prerouting {
          type nat hook prerouting priority dstnat
          jump hostip_hostports
          jump hostports
        }
      }
      table ip6 cni_hostport {
        chain hostports {
          tcp dport 8082 dnat to [fd00:1::3]:80 comment "c1"
        }
        chain prerouting {
          type nat hook prerouting priority dstnat
          jump hostports
        }
      }
`),
  },
}

for (const [name, { skip, words, publish }] of Object.entries(ways)) {
  test(name, { skip }, async t => {
    const host = ownNamespace(t)
    const refuse = (containerId: string, wanted: Mapping): void =>
      refusePublished(host, tables(host.netfilter), publicationOf(containerId, wanted))
    for (const [, wanted] of cases) refuse('c2', wanted)
    publish(host)
    for (const [free, wanted] of cases) {
      const what = JSON.stringify(wanted)
      if (free) t.doesNotThrow(() => refuse('c2', wanted), what)
      else t.throws(() => refuse('c2', wanted), { name: 'PortTaken', message: words }, what)
      t.doesNotThrow(() => refuse('c1', wanted), 'its own')
    }
  })
}
