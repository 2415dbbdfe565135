// firewall among others' rules in FORWARD: Docker's, an administrator's, both kinds of iptables.
import { rmSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { writeSysctl } from '#net/sysctl.ts'
import { addBridge, addContainer, type Container } from '#tools/bridges.ts'
import { lacks, output, pings, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { firewallPlugin } from './firewall.ts'

const skip = lacks('ip') || lacks('nft') || lacks('ping') || lacks('iptables-nft') || lacks('iptables-legacy')

// One lock for the whole machine would have tests wait for each other.
process.env['XTABLES_LOCKFILE'] = `/tmp/fairlead-test-${process.pid}.lock`
process.on('exit', () => rmSync(process.env['XTABLES_LOCKFILE']!, { force: true }))

type Test = Parameters<typeof addContainer>[0]

const OUTSIDE = ['192.0.2.2', '2001:db8::2'] as const
const programs = ['iptables', 'ip6tables'] as const
const MARKED = '-m mark --mark 0x1000/0x1000 -m comment ' +
  '--comment "fairlead: marked by nftables table inet fairlead_firewall" -j ACCEPT'
const OVERRIDES = '-m comment --comment "fairlead: overrides of the administrator"'

/** What changes with every packet left out. */
const settled = (text: string): string => text
  .replace(/ ?\[\d+:\d+\]|^#.*\n/gm, '')
  .replace(/packets \d+ bytes \d+/g, '')

/** What Docker 28 has in table filter, as far as it concerns packets of others. */
const docker = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
COMMIT
`

class Host {
  readonly node: Node
  readonly host: Namespace
  readonly one: Container
  readonly two: Container

  constructor(t: Test) {
    this.node = new Node(t, firewallPlugin, { backend: 'nftables' })
    this.host = this.node.host
    addBridge(this.host, 1)
    for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1')
    const outside = this.node.uplink({
      own: ['192.0.2.1/24', '2001:db8::1/64'], there: ['192.0.2.2/24', '2001:db8::2/64'],
    })
    const { index: dev } = outside.link.get('out0')
    outside.route.add({ dst: '10.1.0.0/16', via: '192.0.2.1', dev })
    outside.route.add({ dst: 'fd00::/16', via: '2001:db8::1', dev })
    this.one = addContainer(t, this.host, 1, 2)
    this.two = addContainer(t, this.host, 1, 3)
  }

  call(verb: string, { pod, containerId, prevResult }: Container, keys: Json = {}): void {
    this.node.call(verb, pod, this.node.config({ prevResult, ...keys }), { containerId })
  }

  run(command: string, input = ''): string {
    const [program = '', ...words] = command.split(' ')
    return output(this.host, program, words, input)
  }

  /** What iptables shows of the chain. */
  forward(program: string): string[] { return this.run(`${program} -S FORWARD`).trim().split('\n') }

  get rules(): string { return this.run('nft list ruleset') }

  /** One lost packet says nothing yet. */
  get reached(): boolean[] { return OUTSIDE.map(address => reaches(this.one.pod, address, 2)) }
  get unreached(): boolean[] { return OUTSIDE.map(address => !pings(this.one.pod, address)) }
}

test('beside Docker', { skip }, async t => {
  const host = new Host(t)
  for (const program of programs) host.run(`${program}-restore`, docker)
  const before = host.rules
  t.same(host.unreached, [true, true])
  host.call('ADD', host.one)
  host.call('ADD', host.two)
  t.same(host.reached, [true, true])
  for (const program of programs) {
    t.same(host.forward(program), [
      '-P FORWARD DROP', `-A FORWARD ${MARKED}`, '-A FORWARD -j DOCKER-USER', '-A FORWARD -j DOCKER-FORWARD',
    ])
    const saved = host.run(`${program}-save -t filter`)
    t.notMatch(saved, /incompatible/)
    host.run(`${program}-restore`, saved)
    t.equal(settled(host.run(`${program}-save -t filter`)), settled(saved))
    // Docker puts its jumps in front whenever it starts.
    host.run(`${program} -D FORWARD -j DOCKER-USER`)
    host.run(`${program} -I FORWARD -j DOCKER-USER`)
  }
  t.same(host.reached, [true, true], 'after a round trip through iptables-restore')
  host.call('CHECK', host.one)
  host.call('DEL', host.one)
  host.call('CHECK', host.two)
  host.call('DEL', host.two)
  t.equal(settled(host.rules), settled(before))
  t.same(host.unreached, [true, true])
})

test('who drops later finds the rule in place', { skip }, async t => {
  const host = new Host(t)
  host.call('ADD', host.one)
  t.same(host.forward('iptables'), ['-P FORWARD ACCEPT', `-A FORWARD ${MARKED}`])
  for (const program of programs) host.run(`${program}-restore --noflush`, docker)
  t.same(host.reached, [true, true])
  host.call('CHECK', host.one)
  host.call('DEL', host.one)
  t.same(host.forward('iptables'), ['-P FORWARD DROP', '-A FORWARD -j DOCKER-USER', '-A FORWARD -j DOCKER-FORWARD'])

  const other = new Host(t)
  other.call('ADD', other.one)
  t.match(other.rules, /table ip filter/)
  other.call('DEL', other.one)
  t.equal(other.rules, '', 'a chain that only we have used goes with the last container')
  other.run('iptables -A INPUT -j ACCEPT')
  const before = other.rules
  other.call('ADD', other.one)
  other.run('iptables -A OUTPUT -j ACCEPT')
  other.call('DEL', other.one)
  t.equal(other.rules.replace(/\tchain OUTPUT \{[^}]*\}\n/, '').replaceAll('\n\n', '\n'), before)
})

test('the administrator goes first', { skip }, async t => {
  const host = new Host(t)
  for (const program of programs) {
    host.run(`${program} -P FORWARD DROP`)
    host.run(`${program} -N CNI-ADMIN`)
    host.run(`${program} -A CNI-ADMIN -d ${program === 'iptables' ? OUTSIDE[0] : OUTSIDE[1]} -j DROP`)
  }
  host.call('ADD', host.one)
  t.same(host.forward('iptables'),
    ['-P FORWARD DROP', `-A FORWARD ${OVERRIDES} -j CNI-ADMIN`, `-A FORWARD ${MARKED}`])
  t.same(host.unreached, [true, true], 'what the administrator drops stays dropped')
  host.run('iptables -F CNI-ADMIN')
  t.same(host.reached, [true, false])
  host.run('iptables -D FORWARD 1')
  t.throws(() => host.call('CHECK', host.one), { code: 102, message: /FORWARD of ip table filter/ })

  const another = { iptablesAdminChainName: 'DOCKER-USER' }
  host.run('iptables-restore --noflush', docker)
  host.call('ADD', host.two, another)
  t.same(host.forward('iptables'), [
    '-P FORWARD DROP', '-A FORWARD -j DOCKER-USER', `-A FORWARD ${MARKED}`, '-A FORWARD -j DOCKER-FORWARD',
  ], 'a jump that is there already will do')
  host.call('CHECK', host.two, another)
  host.call('ADD', host.one)
  host.call('CHECK', host.one)
  host.call('CHECK', host.two, another)
  for (const each of [host.one, host.two]) host.call('DEL', each)
  t.same(host.forward('iptables'), ['-P FORWARD DROP', '-A FORWARD -j DOCKER-USER', '-A FORWARD -j DOCKER-FORWARD'])
})

test('a host that works with iptables-legacy', { skip }, async t => {
  const host = new Host(t)
  for (const program of programs) host.run(`${program}-legacy -P FORWARD DROP`)
  t.same(host.unreached, [true, true])
  host.call('ADD', host.one)
  host.call('ADD', host.two)
  t.same(host.reached, [true, true])
  t.same(host.forward('iptables-legacy'), ['-P FORWARD DROP', `-A FORWARD ${MARKED}`])
  t.notMatch(host.rules, /table ip6? filter/, 'it gets no tables of the other kind')
  host.call('CHECK', host.one)
  host.run('ip6tables-legacy -F FORWARD')
  t.throws(() => host.call('CHECK', host.one), { code: 102, message: /FORWARD of ip6 table filter/ })
  for (const each of [host.one, host.two]) host.call('DEL', each)
  for (const program of programs) t.same(host.forward(`${program}-legacy`), ['-P FORWARD DROP'])
})

test('nobody is let through by two kinds at once unless both say so', { skip }, async t => {
  const host = new Host(t)
  for (const kind of ['nft', 'legacy']) host.run(`iptables-${kind} -P FORWARD DROP`)
  host.call('ADD', host.one)
  t.equal(host.reached[0], true)
  for (const kind of ['nft', 'legacy']) t.same(host.forward(`iptables-${kind}`).length, 2)
})
