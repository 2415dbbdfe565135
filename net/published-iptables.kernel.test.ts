// Published ports with iptables: what we write is what the Go suite writes, and either takes away what the other wrote.
import { rmSync } from 'node:fs'
import { test } from 'tap'
import { familyOf } from '#netlink/ip.ts'
import { tables } from '#netlink/nftables/query.ts'
import { atOnce } from '#tools/at-once.ts'
import { ask, serve } from '#tools/conversation.ts'
import { anotherNamespace, connect, lacks, output, ownNamespace } from '#tools/kernel.ts'
import { bridgeResult, lacksReference, pathOf, refer } from '#tools/reference.ts'
import type { Namespace } from './namespace.ts'
import type { Mapping, Protocol, Publication } from './publication.ts'
import * as removal from './published-iptables-removal.ts'
import * as published from './published-iptables.ts'
import { writeSysctl } from './sysctl.ts'

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

/** An entry of `portMappings`, and what it comes to for a container. */
interface Entry {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: Protocol
  readonly hostIP?: string
}
const mappingsOf = (entries: readonly Entry[], addresses: readonly string[]): Mapping[] =>
  entries.flatMap(({ hostIP = '', hostPort, containerPort, protocol }) =>
    addresses.filter(address => hostIP === '' || familyOf(hostIP) === familyOf(address)).map(address => ({
      protocol, hostPort, containerPort, containerIp: address.split('/')[0]!,
      hostIp: ['', '0.0.0.0', '::'].includes(hostIP) ? undefined : hostIP,
    })))

const entries: readonly Entry[] = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' }, { hostPort: 53, containerPort: 5353, protocol: 'udp' },
  { hostPort: 8081, containerPort: 81, protocol: 'tcp', hostIP: '192.0.2.1' },
  { hostPort: 8082, containerPort: 82, protocol: 'tcp', hostIP: '::' },
  { hostPort: 8083, containerPort: 83, protocol: 'sctp', hostIP: '0.0.0.0' },
  { hostPort: 8084, containerPort: 84, protocol: 'tcp', hostIP: '2001:db8::1' },
]
const addresses = ['10.1.2.3/24', 'fd00:1::3/64']
const none = { ipv4: [], ipv6: [] }
const publicationOf = (containerId: string, extra: Partial<Publication> = {}, own = entries): Publication => ({
  attachment: { network: 'net1', containerId, ifName: 'eth0' }, addresses, snat: true, masqAll: false, markMasqBit: 13,
  externalSetMarkChain: undefined, conditions: none, ...extra, mappings: mappingsOf(own, extra.addresses ?? addresses),
})

const saved = (host: Namespace, kind = ''): string[] => ['iptables', 'ip6tables'].flatMap(program =>
  output(host, `${program}${kind}-save`, ['-t', 'nat']).split('\n').filter(line => /^[-:]/.test(line)))
const remove = (host: Namespace, { attachment }: Publication): void => {
  removal.remove(host, tables(host.netfilter), attachment)
  removal.removeLegacy(host, attachment)
}

test('the Go suite', { skip: lacksReference('portmap') }, async t => {
  const [ours, theirs, pod] = [ownNamespace(t), anotherNamespace(t), anotherNamespace(t)]
  const askThem = (
    host: Namespace, verb: 'ADD' | 'CHECK' | 'DEL', publication: Publication, own = entries, path?: string,
  ): void => {
    const { attachment, snat, markMasqBit, externalSetMarkChain, conditions } = publication
    refer(host, { plugin: 'portmap', verb, containerId: attachment.containerId, pod, path, config: {
      cniVersion: '0.4.0', name: attachment.network, snat, prevResult: bridgeResult(pod, publication.addresses),
      ...externalSetMarkChain === undefined ? { markMasqBit } : { externalSetMarkChain },
      conditionsV4: conditions.ipv4, conditionsV6: conditions.ipv6, runtimeConfig: { portMappings: own },
    } })
  }
  const many = Array.from({ length: 18 }, (_, i): Entry =>
    ({ hostPort: 9000 + i, containerPort: 80, protocol: i === 7 ? 'udp' : 'tcp' }))
  const only4 = entries.filter(({ hostIP = '.' }) => familyOf(hostIP) === 'ipv4')
  const only6 = entries.filter(({ hostIP = ':' }) => familyOf(hostIP) === 'ipv6')
  const conditions = { ipv4: ['-s', '10.0.0.0/8', '!', '-i', 'foo'], ipv6: ['-m', 'comment', '--comment', 'a "b"'] }
  const variants: readonly (readonly [Publication, (readonly Entry[])?])[] = [
    [publicationOf('plain')],
    [publicationOf('mark', { markMasqBit: 31 })],
    [publicationOf('conditions', { conditions, externalSetMarkChain: 'KUBE-MARK-MASQ' })],
    [publicationOf('ipv4', { addresses: ['10.1.2.4/24'] }, only4), only4],
    [publicationOf('ipv6', { addresses: ['fd00:1::5/128'] }, only6), only6],
    [publicationOf('many', { addresses: ['10.1.2.5/24'], snat: false }, many), many],
    [publicationOf('x'.repeat(300), { snat: false })],
  ]
  for (const host of [ours, theirs]) for (const program of ['iptables', 'ip6tables'])
    output(host, program, ['-t', 'nat', '-N', 'KUBE-MARK-MASQ'])
  for (const [publication, own] of variants) {
    published.add(ours, publication)
    askThem(theirs, 'ADD', publication, own)
    t.same(saved(ours), saved(theirs), `${publication.attachment.containerId}: the same lines`)
    published.add(ours, publication)
    t.same(saved(ours), saved(theirs), 'twice is once')
  }
  for (const [publication, own] of variants) {
    const name = publication.attachment.containerId
    if (publication.addresses.length === 1) {
      const path = pathOf(t, name === 'ipv6' ? 'ip6tables' : 'iptables')
      t.doesNotThrow(() => askThem(ours, 'CHECK', publication, own, path), `${name}: CHECK of the Go suite`)
    }
    t.doesNotThrow(() => published.check(theirs, publication), `${name}: our CHECK of the Go suite's`)
    t.ok(removal.areThere(theirs, tables(theirs.netfilter), publication.attachment))
    askThem(ours, 'DEL', publication, own)
    remove(theirs, publication)
    remove(theirs, publication)
    t.same(saved(theirs), saved(ours), `${name}: each has removed what the other wrote`)
    t.notOk(removal.areThere(theirs, tables(theirs.netfilter), publication.attachment))
  }
  t.notOk(saved(theirs).some(line => line.includes('CNI-DN-')))
})

test('masqAll', { skip: lacks('iptables-restore') }, async t => {
  const host = ownNamespace(t)
  published.add(host, publicationOf('c1', { masqAll: true }, [entries[0]!, entries[2]!]))
  // As version 1.9.1 of the Go suite wrote them.
  t.match(saved(host).filter(line => line.startsWith('-A CNI-DN-')).map(line => line.replace(/^-A \S+ /, '')), [
    '-p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK',
    '-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.2.3:80',
    '-d 192.0.2.1/32 -p tcp -m tcp --dport 8081 -j CNI-HOSTPORT-SETMARK',
    '-d 192.0.2.1/32 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 10.1.2.3:81',
    '-p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK',
    '-p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:1::3]:80',
  ])
  const add = (extra: Partial<Publication>): void => published.add(host, publicationOf('c2', extra))
  t.throws(() => add({ conditions: { ...none, ipv4: ['-s\nCOMMIT'] } }), /no argument/)
  t.throws(() => add({ externalSetMarkChain: 'ABSENT' }), /iptables-restore: .*ABSENT/)
})

for (const kind of ['nft', 'legacy']) {
  test(`iptables-${kind}`, { skip: lacks(`iptables-${kind}-save`) }, async t => {
    const host = ownNamespace(t)
    const [one, two] = [publicationOf('c1'), publicationOf('c2')]
    const foreign = { ...one, attachment: { ...one.attachment, network: 'net10' } }
    for (const publication of [one, two, foreign]) published.add(host, publication)
    if (kind === 'legacy') {
      const lines = output(host, 'iptables-save', ['-t', 'nat'])
      output(host, 'iptables-legacy-restore', ['--noflush'], lines)
      output(host, 'nft', ['flush', 'ruleset'])
    }
    // What the Go suite had before 0.8.
    const old = removal.chains(one.attachment).find(chain => chain.includes('-SN-'))!
    output(host, `iptables-${kind}-restore`, ['--noflush'], ['*nat', '-N CNI-HOSTPORT-SNAT', `-N ${old}`,
      `-A ${old} -s 127.0.0.1 -d 10.1.2.3 -p tcp --dport 80 -j MASQUERADE`,
      `-A CNI-HOSTPORT-SNAT -m comment --comment "snat name: \\"net1\\" id: \\"c1\\"" -j ${old}`, 'COMMIT', '',
    ].join('\n'))
    const own = (): string[] => saved(host, `-${kind}`).filter(line => /CNI-[DS]N-/.test(line))
    const others = (...gone: Publication[]): string[] => {
      const chains = gone.flatMap(({ attachment }) => removal.chains(attachment))
      return own().filter(line => !chains.some(chain => line.includes(chain)))
    }
    t.ok(own().some(line => line.includes(old)))
    const wanted = others(one)
    removal.collect(host, tables(host.netfilter), 'net1', [two.attachment])
    removal.collectLegacy(host, 'net1', [two.attachment])
    t.same(own(), wanted, 'GC takes what is not listed')
    const rest = others(two)
    remove(host, two)
    t.same(own(), rest, 'DEL takes its own')
    remove(host, foreign)
    t.same(own(), [])
  })
}

test('CHECK finds what is missing', { skip: lacks('iptables-restore') }, async t => {
  const host = ownNamespace(t)
  const publication = publicationOf('c1', {}, entries.slice(1, 4))
  const check = (): void => published.check(host, publication)
  t.throws(check, /ipv4 rule "\S+ -m comment .*masquerade mark.* is missing in iptables table nat/)
  published.add(host, publication)
  check()
  for (const program of ['iptables', 'ip6tables']) {
    const lines = output(host, `${program}-save`, ['-t', 'nat']).split('\n').filter(line => line.startsWith('-A'))
    for (const line of lines) {
      output(host, `${program}-restore`, ['--noflush'], `*nat\n${line.replace('-A', '-D')}\nCOMMIT\n`)
      t.throws(check, /is missing in iptables table nat/, line)
      published.add(host, publication)
      check()
    }
  }
})

test('packets', { skip: lacks('iptables-restore') }, async t => {
  const [host, pod, outside] = [ownNamespace(t), anotherNamespace(t), anotherNamespace(t)]
  connect({ ns: host, name: 'veth1', addresses: ['10.1.2.1/24', 'fd00:1::1/64'] }, { ns: pod, name: 'eth0', addresses })
  connect({ ns: host, name: 'up0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
    { ns: outside, name: 'up0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] })
  for (const [dst, via] of [['0.0.0.0/0', '10.1.2.1'], ['::/0', 'fd00:1::1']] as const)
    pod.route.add({ dst, via, dev: pod.link.get('eth0').index })
  host.run(() => {
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv4/conf/veth1/route_localnet'])
      writeSysctl(name, '1')
  })
  await serve(t, pod, 80, 5353)
  const seen = async (from: Namespace, ...ips: string[]): Promise<(string | undefined)[]> => {
    const answers = await ask(from, ips.flatMap(address => [
      { protocol: 'tcp', address, port: 8080 }, { protocol: 'udp', address, port: 53 },
    ] as const))
    return answers.map(answer => answer?.seenAs)
  }
  const twice = (...ips: string[]): string[] => ips.flatMap(ip => [ip, ip])
  const publication = publicationOf('c1')
  published.add(host, publication)
  t.same(await seen(outside, '192.0.2.1', '2001:db8::1'), twice('192.0.2.2', '2001:db8::2'))
  t.same(await seen(host, '127.0.0.1'), twice('10.1.2.1'), 'from the loopback, masqueraded')
  t.same(await seen(pod, '192.0.2.1', '2001:db8::1'), twice('10.1.2.1', 'fd00:1::1'), 'the container itself')
  remove(host, publication)
  t.same(await ask(outside, [{ protocol: 'tcp', address: '192.0.2.1', port: 8080 }]), [undefined])
})

test('many at once', { skip: lacks('iptables-restore') }, async t => {
  const host = ownNamespace(t)
  const script = `
    import { Namespace } from '${import.meta.resolve('./namespace.ts')}'
    import * as published from '${import.meta.resolve('./published-iptables.ts')}'
    using host = Namespace.host()
    published.add(host, JSON.parse(process.env.PUBLICATION))`
  const publications = Array.from({ length: 6 }, (_, i) => publicationOf(`c${i}`))
  const results = await atOnce(script, publications.map(publication => ({ PUBLICATION: JSON.stringify(publication) })))
  t.same(results, publications.map(() => '0'))
  for (const publication of publications) published.check(host, publication)
  t.equal(saved(host).filter(line => line.startsWith('-A P')).length, 2 * 2, 'shared rules are there once')
  for (const publication of publications) remove(host, publication)
  t.same(saved(host).filter(line => line.includes('CNI-DN-')), [])
})

test('one of many gets a port', { skip: lacks('iptables-restore') }, async t => {
  const host = ownNamespace(t)
  const script = `
    import { Namespace } from '${import.meta.resolve('./namespace.ts')}'
    import * as published from '${import.meta.resolve('./published.ts')}'
    using host = Namespace.host()
    try {
      published.add(host, JSON.parse(process.env.PUBLICATION), 'iptables')
    } catch (error) {
      if (error.name !== 'PortTaken') throw error
      process.exitCode = 7
    }`
  const publications = Array.from({ length: 6 }, (_, i) => publicationOf(`c${i}`))
  const results = await atOnce(script, publications.map(publication => ({ PUBLICATION: JSON.stringify(publication) })))
  t.same(results.toSorted(), ['0', '7', '7', '7', '7', '7'])
  published.check(host, publications[results.indexOf('0')]!)
})
