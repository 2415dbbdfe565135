// The firewall with iptables: what we write is what the Go suite writes, and either takes away what the other wrote.
import { rmSync } from 'node:fs'
import { test } from 'tap'
import { tables } from '#netlink/nftables/query.ts'
import { anotherNamespace, connect, lacks, output, ownNamespace, pings } from '#tools/kernel.ts'
import { bridgeResult, lacksReference, refer } from '#tools/reference.ts'
import type { Admission } from './admission.ts'
import { hostLinkName, type Attachment } from './attachment.ts'
import * as removal from './firewall-iptables-removal.ts'
import * as firewall from './firewall-iptables.ts'
import type { Namespace } from './namespace.ts'
import { writeSysctl } from './sysctl.ts'

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

const addresses = ['10.1.2.3/24', 'fd00:1::3/64']
const attachmentOf = (containerId: string): Attachment => ({ network: 'net1', containerId, ifName: 'eth0' })
const admissionOf = (containerId: string, extra: Partial<Admission> = {}): Admission => ({
  attachment: attachmentOf(containerId), addresses, ingressPolicy: 'open', bridge: 'br0', adminChain: 'CNI-ADMIN',
  ...extra,
})

const saved = (host: Namespace, kind = ''): string[] => ['iptables', 'ip6tables'].flatMap(program =>
  output(host, `${program}${kind}-save`, ['-t', 'filter']).split('\n').filter(line => /^-A|^:CNI/.test(line)))
const accepts = (host: Namespace, kind = ''): string[] => saved(host, kind).filter(line => line.endsWith('ACCEPT'))
const remove = (host: Namespace, containerId: string, hints?: Parameters<typeof removal.remove>[3]): void =>
  removal.remove(host, tables(host.netfilter), attachmentOf(containerId), hints)
const collect = (host: Namespace, network: string, ...valid: Attachment[]): void =>
  removal.collect(host, tables(host.netfilter), network, valid)
const addBridge = (host: Namespace, name = 'br0'): number => {
  host.link.add({ name, info: { kind: 'bridge' }, up: true })
  return host.link.get(name).index
}

test('the Go suite', { skip: lacksReference('firewall') || lacks('ip6tables') }, async t => {
  const [ours, theirs, pod] = [ownNamespace(t), anotherNamespace(t), anotherNamespace(t)]
  const askThem = (host: Namespace, verb: 'ADD' | 'CHECK' | 'DEL', admission: Admission): void =>
    refer(host, { plugin: 'firewall', verb, containerId: admission.attachment.containerId, pod, config: {
      cniVersion: '0.4.0', name: 'net1', backend: 'iptables', iptablesAdminChainName: admission.adminChain,
      ingressPolicy: admission.ingressPolicy, prevResult: bridgeResult(pod, admission.addresses),
    } })
  const variants = [
    admissionOf('plain'),
    admissionOf('admin', { addresses: ['10.1.2.4/24', '10.1.2.5/24'], adminChain: 'ADMINS' }),
    admissionOf('ipv6', { addresses: ['fd00:1::4/128'] }),
  ]
  for (const admission of variants) {
    const name = admission.attachment.containerId
    firewall.add(ours, admission)
    askThem(theirs, 'ADD', admission)
    t.same(saved(ours), saved(theirs), `${name}: the same lines`)
    firewall.add(ours, admission)
    t.same(saved(ours), saved(theirs), 'twice is once')
    t.doesNotThrow(() => askThem(ours, 'CHECK', admission), `${name}: CHECK of the Go suite`)
    t.doesNotThrow(() => firewall.check(theirs, admission), `${name}: our CHECK of the Go suite's`)
  }
  for (const admission of variants) {
    const { containerId } = admission.attachment
    askThem(ours, 'DEL', admission)
    for (let i = 0; i < 2; i++) remove(theirs, containerId, { addresses: admission.addresses })
    t.same(saved(theirs), saved(ours), `${containerId}: each has removed what the other wrote`)
    remove(ours, containerId)
  }
  t.same([...accepts(ours), ...accepts(theirs)], [])
  t.notMatch(output(ours, 'nft', ['list', 'tables']), 'fairlead')

  addBridge(theirs)
  connect({ ns: theirs, name: 'veth01234567', addresses: [], master: theirs.link.get('br0').index },
    { ns: pod, name: 'eth0', addresses: [] })
  const isolated = admissionOf('isolated', { ingressPolicy: 'same-bridge' })
  askThem(theirs, 'ADD', isolated)
  const lines = saved(theirs)
  firewall.check(theirs, isolated)
  firewall.add(theirs, isolated)
  t.same(saved(theirs), lines, 'rules of before 1.7 count, too')
  const keepsApart = (): boolean => saved(theirs).some(line => line.includes(' br0 '))
  remove(theirs, 'another', {})
  t.ok(keepsApart(), 'somebody is on the bridge')
  remove(theirs, 'isolated', { addresses, links: ['br0', 'veth01234567'] })
  t.notOk(keepsApart())
  t.same(accepts(theirs), [])
})

// As version 1.9.1 of the Go suite wrote them.
const written = (policy: string): string[] => {
  const text = 'CNI firewall plugin rules'
  const either = `-m comment --comment "${text} (ingressPolicy: same-bridge|isolated)"`
  const own = `-m comment --comment "${text} (ingressPolicy: ${policy})"`
  return [
    ':CNI-ADMIN - [0:0]', ':CNI-FORWARD - [0:0]', ':CNI-ISOLATION-STAGE-1 - [0:0]', ':CNI-ISOLATION-STAGE-2 - [0:0]',
    `-A FORWARD ${either} -j CNI-ISOLATION-STAGE-1`, `-A FORWARD -m comment --comment "${text}" -j CNI-FORWARD`,
    `-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN`,
    '-A CNI-FORWARD -d 10.1.2.3/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A CNI-FORWARD -s 10.1.2.3/32 -j ACCEPT',
    ...policy === 'isolated' ? [`-A CNI-ISOLATION-STAGE-1 -i br0 -o br0 ${own} -j DROP`] : [],
    `-A CNI-ISOLATION-STAGE-1 -i br0 ! -o br0 ${own} -j CNI-ISOLATION-STAGE-2`,
    `-A CNI-ISOLATION-STAGE-1 ${either} -j RETURN`,
    `-A CNI-ISOLATION-STAGE-2 -o br0 ${either} -j DROP`, `-A CNI-ISOLATION-STAGE-2 ${either} -j RETURN`,
  ]
}

for (const ingressPolicy of ['same-bridge', 'isolated'] as const) {
  test(ingressPolicy, { skip: lacks('iptables-restore') }, async t => {
    const host = ownNamespace(t)
    addBridge(host)
    const admission = admissionOf('c1', { ingressPolicy, addresses: ['10.1.2.3/24'] })
    const lines = written(ingressPolicy)
    const read = (): string[] => saved(host).filter(line => !/^-A (INPUT|OUTPUT)/.test(line))
    t.throws(() => firewall.check(host, admission), /-j CNI-FORWARD" is missing in iptables table filter/)
    firewall.add(host, admission)
    firewall.add(host, admission)
    t.same(read(), lines)
    firewall.check(host, admission)
    for (const line of lines.filter(line => line.startsWith('-A'))) {
      output(host, 'iptables-restore', ['--noflush'], `*filter\n${line.replace('-A', '-D')}\nCOMMIT\n`)
      t.throws(() => firewall.check(host, admission), /is missing in iptables table filter/, line)
      firewall.add(host, admission)
      t.same([...read()].sort(), [...lines].sort())
      t.match(read().find(line => line.startsWith('-A FORWARD')), /STAGE-1$/, 'who is turned away is not let in first')
    }
    host.link.remove('br0')
    collect(host, 'net2')
    const stays = lines.filter(line => !/ br0 /.test(line))
    t.same([...read()].sort(), [...stays].sort())
    collect(host, 'net1', attachmentOf('c1'))
    t.same([...read()].sort(), [...stays].sort())
    collect(host, 'net1')
    t.same(accepts(host), [])
  })
}

for (const kind of ['nft', 'legacy']) {
  test(`iptables-${kind}`, { skip: lacks(`iptables-${kind}-save`) }, async t => {
    const host = ownNamespace(t)
    const bridge = addBridge(host)
    const ports = ['c1', 'c2'].map(id => hostLinkName(attachmentOf(id)))
    for (const name of ports)
      host.link.add({ name, master: bridge, info: { kind: 'veth', peer: { name: `${name.slice(0, 14)}p` } } })
    firewall.add(host, admissionOf('c1', { ingressPolicy: 'isolated' }))
    firewall.add(host, admissionOf('c2', { addresses: ['10.1.2.4/24'], ingressPolicy: 'same-bridge' }))
    const foreign = ['-A CNI-FORWARD -s 10.1.2.3/32 -p tcp -j ACCEPT', '-A CNI-FORWARD ! -s 10.1.2.3/32 -j ACCEPT']
    output(host, 'iptables-restore', ['--noflush'], `*filter\n${foreign.join('\n')}\nCOMMIT\n`)
    if (kind === 'legacy') for (const program of ['iptables', 'ip6tables']) {
      output(host, `${program}-legacy-restore`, [], output(host, `${program}-save`, ['-t', 'filter']))
      output(host, `${program}-nft`, ['-t', 'filter', '-F'])
      output(host, `${program}-nft`, ['-t', 'filter', '-X'])
    }
    const read = (): string[] => accepts(host, `-${kind}`).map(line => line.replace('-A CNI-FORWARD ', ''))
    const keepsApart = (): boolean => saved(host, `-${kind}`).some(line => line.includes(' br0 '))
    t.equal(read().length, 8)
    remove(host, 'late', { addresses })
    t.equal(read().length, 8, 'the addresses are of somebody else')
    remove(host, 'c1')
    t.same(read(), ['-d 10.1.2.4/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT', '-s 10.1.2.4/32 -j ACCEPT',
      '-s 10.1.2.3/32 -p tcp -j ACCEPT', '! -s 10.1.2.3/32 -j ACCEPT'])
    t.ok(keepsApart(), 'c2 is on the bridge')
    host.link.remove(ports[0]!)
    remove(host, 'c2', { addresses: ['10.1.2.99/24'] })
    t.equal(read().length, 2, 'found by its name')
    t.notOk(keepsApart())
    t.notMatch(output(host, 'nft', ['list', 'tables']), 'fairlead')
  })
}

test('packets', { skip: lacks('iptables-restore') || lacks('ping') }, async t => {
  const [host, pod, outside, other] = [ownNamespace(t), anotherNamespace(t), anotherNamespace(t), anotherNamespace(t)]
  const [br0, br1] = [addBridge(host), addBridge(host, 'br1')]
  for (const address of ['10.1.2.1/24', 'fd00:1::1/64']) host.addr.add({ index: br0, address, noDad: true })
  for (const address of ['10.1.3.1/24', 'fd00:3::1/64']) host.addr.add({ index: br1, address, noDad: true })
  connect({ ns: host, name: 'veth1', addresses: [], master: br0 }, { ns: pod, name: 'eth0', addresses })
  const elsewhere = ['10.1.3.3/24', 'fd00:3::3/64']
  connect({ ns: host, name: 'veth2', addresses: [], master: br1 }, { ns: other, name: 'eth0', addresses: elsewhere })
  connect({ ns: host, name: 'up0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
    { ns: outside, name: 'up0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] })
  for (const [ns, link, via4, via6] of [
    [pod, 'eth0', '10.1.2.1', 'fd00:1::1'], [other, 'eth0', '10.1.3.1', 'fd00:3::1'],
    [outside, 'up0', '192.0.2.1', '2001:db8::1'],
  ] as const)
    for (const [dst, via] of [['0.0.0.0/0', via4], ['::/0', via6]] as const)
      ns.route.add({ dst, via, dev: ns.link.get(link).index })
  host.run(() => {
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
  })
  for (const program of ['iptables', 'ip6tables']) output(host, program, ['-P', 'FORWARD', 'DROP'])
  const reach = (from: Namespace, ...ips: string[]): boolean[] => ips.map(ip => pings(from, ip))
  t.same(reach(pod, '192.0.2.2', '2001:db8::2'), [false, false])
  firewall.add(host, admissionOf('c1'))
  t.same(reach(pod, '192.0.2.2', '2001:db8::2'), [true, true])
  t.same(reach(outside, '10.1.2.3', 'fd00:1::3'), [false, false], 'only what belongs to connections comes in')
  firewall.add(host, admissionOf('c2', { addresses: elsewhere, bridge: 'br1' }))
  for (const program of ['iptables', 'ip6tables']) output(host, program, ['-P', 'FORWARD', 'ACCEPT'])
  t.same(reach(other, '10.1.2.3', 'fd00:1::3'), [true, true])
  for (const [id, bridge, own] of [['c1', 'br0', addresses], ['c2', 'br1', elsewhere]] as const)
    firewall.add(host, admissionOf(id, { addresses: own, bridge, ingressPolicy: 'same-bridge' }))
  t.same(reach(other, '10.1.2.3', 'fd00:1::3', '192.0.2.2'), [false, false, true], 'bridges are kept apart')
})
