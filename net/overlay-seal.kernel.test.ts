// Rules that keep encrypted overlays to their device: as nft lists them, and what they let through.
import { test } from 'tap'
import { anotherNamespace, connect, lacks, output, ownNamespace, pings, reaches } from '#tools/kernel.ts'
import type { Namespace } from './namespace.ts'
import { ensureGuard, isGuarded } from './overlay-guard.ts'
import { ensureSeal } from './overlay-seal.ts'
import { writeSysctl } from './sysctl.ts'

const skip = lacks('nft') || lacks('ip') || lacks('ping')
const subnets = ['10.1.0.0/16', 'fd00:1::/48']
const list = (host: Namespace): string => output(host, 'nft', ['list', 'ruleset'])

void test('rules', { skip }, async t => {
  const host = ownNamespace(t)
  ensureSeal(host, { device: 'fl-wg0', underlay: 'eth0', subnets: [] })
  t.equal(list(host), '', 'nothing to do')
  ensureSeal(host, { device: 'fl-wg0', underlay: 'eth0', subnets })
  const listed = list(host)
  t.match(listed, /hook prerouting priority raw;/)
  t.match(listed, /ip saddr 10\.1\.0\.0\/16 fib saddr \. iif oif (0|missing) counter packets 0 bytes 0 drop/)
  t.match(listed, /hook postrouting priority mangle;/)
  t.match(listed, /ip6 daddr fd00:1::\/48 oifname != "fl-wg0" oifname != "lo" oifname != "veth\*" counter .* drop/)
  output(host, 'nft', ['--check', '--file', '-'], listed)
  ensureGuard(host, { ports: [], vteps: [], tunnels: ['fl-wg0'] })
  t.ok(isGuarded(host), 'the guard of VXLAN goes beside')
  const both = list(host)
  ensureSeal(host, { device: 'fl-wg0', underlay: 'eth0', subnets })
  t.equal(list(host), both, 'what is in place is left alone')
  output(host, 'nft', ['flush chain inet fairlead_overlay sealed_out'])
  ensureSeal(host, { device: 'fl-wg0', underlay: 'eth0', subnets })
  t.match(list(host), /sealed fd00:1::\/48 fl-wg0/)
  ensureSeal(host, { device: 'fl-wg0', underlay: 'veth9', subnets })
  t.match(list(host), /ip daddr 10\.1\.0\.0\/16 oifname "veth9" counter/, 'an underlay that is called like containers')
  ensureSeal(host, { device: 'fl-wg0', underlay: 'eth0', subnets: ['10.1.0.0/16'] })
  t.notMatch(list(host), /veth9|fd00/)
  ensureSeal(host, { device: 'fl-wg0', underlay: 'eth0', subnets: [] })
  t.notMatch(list(host), /sealed 1/)
})

// Two hosts on one cable; containers of one and the same network on the first, and somebody who forges.
void test('packets', { skip }, async t => {
  const host = ownNamespace(t)
  const [outside, one, two] = [anotherNamespace(t), anotherNamespace(t), anotherNamespace(t)]
  connect(
    { ns: host, name: 'eth0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
    { ns: outside, name: 'eth0', addresses: ['192.0.2.2/24', '2001:db8::2/64', '10.1.2.2/32', 'fd00:1:0:2::2/128'] },
  )
  const containers = [[one, 'veth1', '10.1.1.2', 'fd00:1:0:1::2'], [two, 'veth2', '10.1.1.3', 'fd00:1:0:1::3']] as const
  for (const [ns, name, address4, address6] of containers) {
    connect(
      { ns: host, name, addresses: ['10.1.1.1/32', 'fd00:1:0:1::1/128'] },
      { ns, name: 'eth0', addresses: [`${address4}/32`, `${address6}/128`] },
    )
    output(host, 'ip', ['route', 'add', address4, 'dev', name])
    output(host, 'ip', ['-6', 'route', 'add', address6, 'dev', name])
    for (const gateway of ['10.1.1.1', 'fd00:1:0:1::1']) output(ns, 'ip', ['route', 'add', gateway, 'dev', 'eth0'])
    output(ns, 'ip', ['route', 'add', 'default', 'via', '10.1.1.1'])
    output(ns, 'ip', ['-6', 'route', 'add', 'default', 'via', 'fd00:1:0:1::1'])
  }
  host.run(() => { for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(name, '1') })
  for (const [ns, via4, via6] of [[host, '192.0.2.2', '2001:db8::2'], [outside, '192.0.2.1', '2001:db8::1']] as const) {
    output(ns, 'ip', ['route', 'add', 'default', 'via', via4])
    output(ns, 'ip', ['-6', 'route', 'add', 'default', 'via', via6])
  }
  const forged = ['10.1.2.2', 'fd00:1:0:2::2']
  const world = ['192.0.2.2', '2001:db8::2']
  const targets = ['10.1.1.2', 'fd00:1:0:1::2']
  for (const address of forged) t.ok(reaches(one, address), `${address} by the default route, as long as nobody minds`)
  ensureSeal(host, { device: 'fl-wg0', underlay: 'eth0', subnets })
  const count = (chain: string): number =>
    [...output(host, 'nft', ['list', 'chain', 'inet', 'fairlead_overlay', chain]).matchAll(/packets (\d+)/g)]
      .reduce((sum, [, packets]) => sum + Number(packets), 0)
  for (const address of forged) {
    t.notOk(pings(one, address), `nothing leaves for ${address}`)
    t.notOk(pings(host, address), 'nor from the host itself')
  }
  t.equal(count('sealed_out'), 4)
  for (const [i, target] of targets.entries()) {
    const from = (address: string): string => output(outside, 'ping', ['-n', '-c1', '-W1', '-I', address, target])
    t.throws(() => from(forged[i]!), 'nobody passes for another')
    t.match(from(world[i]!), / 1 received/, 'others, who are routed there, come through')
    t.ok(pings(two, target), 'containers reach each other')
    t.ok(pings(host, target), 'so does the host')
    t.ok(pings(one, ['10.1.1.1', 'fd00:1:0:1::1'][i]!), 'and they the host')
    t.ok(pings(one, world[i]!), 'and the world')
  }
  t.equal(count('sealed_in'), 2)
  for (const [i, address] of ['10.1.2.9', 'fd00:1:0:2::9'].entries()) {
    output(two, 'ip', ['address', 'add', `${address}/${i === 0 ? 32 : 128}`, 'dev', 'lo'])
    t.throws(() => output(two, 'ping', ['-n', '-c1', '-W1', '-I', address, targets[i]!]), 'nor does a container')
  }
  t.equal(count('sealed_in'), 4)
})
