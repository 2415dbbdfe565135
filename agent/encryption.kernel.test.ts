// What an agent makes of the store in the kernel when networks are encrypted: one peer for each host, whatever networks
// it is in, and an error for what cannot be encrypted.
import { mkdtempSync, rmSync } from 'node:fs'
import { test, type Test } from 'tap'
import { removeWireguard } from '#net/overlay-wireguard.ts'
import { kernelLacks, lacks, output, ownNamespace } from '#tools/kernel.ts'
import type { Namespace } from '#net/namespace.ts'
import { blockKey, clusterKey, hosts, networkKey, settledKey, staticKey } from './layout.ts'
import { memoryFile, newMemory } from './memory.ts'
import { OverlayHost } from './overlay-host.ts'
import { settingsOf } from './settings.ts'
import type { Entry, Event } from './store/store.ts'
import { keepKey, publicKeyOf } from './wireguard-key.ts'

const skip = lacks('ip') || lacks('wg') || lacks('nft') || kernelLacks('wireguard')

const networks = {
  blue: {
    vni: 4097, port: 4789, addressing: 'hostSubnet', encryption: 'wireguard',
    ranges: [{ subnet: '10.1.0.0/16', blockLength: 24 }, { subnet: 'fd00:1::/48', blockLength: 64 }],
  },
  red: {
    vni: 4098, port: 4789, addressing: 'flat', encryption: 'wireguard', internal: true,
    ranges: [{ subnet: '10.2.0.0/24', blockLength: 26 }],
  },
  plain: { vni: 4099, port: 4789, addressing: 'hostSubnet', ranges: [{ subnet: '10.3.0.0/16', blockLength: 24 }] },
} as const
const own = {
  blue: ['10.1.1.0/24', 'fd00:1:0:1::/64'], red: ['10.2.0.0/26'], plain: ['10.3.1.0/24'],
} as const

const entry = (key: string, value: unknown): Entry =>
  ({ key, value: typeof value === 'string' ? value : JSON.stringify(value), revision: 1, created: 1 })
const put = (made: Entry): Event => ({ kind: 'put', entry: made })
const gone = ({ key }: Entry): Event => ({ kind: 'removed', key, revision: 2 })

/** A public key for each number; there is none behind it. */
const keyOf = (number: number): string => publicKeyOf(Buffer.alloc(32, number).toString('base64'))

const host = (number: number, extra: object = { wireguardKey: keyOf(number), wireguardPort: 51820 }): Entry =>
  entry(hosts.key(`h${number}`), { token: `${number}`, vtep4: `192.0.2.${number}`, mac: `02:00:00:00:00:0${number}`,
    ...extra })
const block = (network: string, text: string, number: number): Entry =>
  entry(blockKey(network, text), { host: `h${number}`, block: text })

const basis: readonly Entry[] = [
  entry(clusterKey, 'c'), entry(settledKey, 'c'),
  ...Object.entries(networks).map(([name, config]) => entry(networkKey(name), config)),
  host(1), host(2), host(3, {}),
  block('blue', '10.1.2.0/24', 2), block('blue', 'fd00:1:0:2::/64', 2), block('blue', '10.1.3.0/24', 3),
  block('red', '10.2.0.64/26', 2), block('plain', '10.3.2.0/24', 2),
]

interface Here { readonly ns: Namespace; readonly agent: OverlayHost; readonly log: string[]; readonly place: string }

/** The agent of h1, which has a part in these networks. */
const start = (t: Test, ns: Namespace, place: string, names: readonly (keyof typeof networks)[]): Here => {
  const log: string[] = []
  const settings = settingsOf({
    'host-id': 'h1', 'interface': 'eth0', 'state-dir': `${place}/state`, 'run-dir': `${place}/run`,
    'leases-dir': `${place}/leases`, 'wireguard-port': '51999',
  })
  memoryFile(`${place}/state/state.json`).write({
    ...newMemory('h1'), cluster: 'c', shares: Object.fromEntries(names.map(name => [name,
      { config: networks[name], blocks: own[name], statics: [], lost: [] }])),
  })
  return { ns, log, place, agent: new OverlayHost(settings, ns, line => { log.push(line) }) }
}

const underlay = (t: Test): { readonly ns: Namespace; readonly place: string } => {
  const ns = ownNamespace(t)
  ns.link.add({ name: 'eth0', info: { kind: 'bridge' } })
  const { index } = ns.link.get('eth0')
  ns.link.set(index, { up: true })
  ns.addr.add({ index, address: '192.0.2.1/24' })
  output(ns, 'ip', ['route', 'add', 'default', 'via', '192.0.2.254'])
  const place = mkdtempSync('/dev/shm/fairlead-encryption-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  return { ns, place }
}

/** Allowed IPs by key, as wg says them. */
const peersIn = (ns: Namespace): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(output(ns, 'wg', ['show', 'fl-wg0', 'allowed-ips']).trim().split('\n').filter(line => line !== '')
    .map(line => {
      const [key = '', ...prefixes] = line.split(/\s+/)
      return [key, prefixes.sort()]
    }))
const wayTo = (ns: Namespace, address: string): string => {
  try {
    return output(ns, 'ip', ['route', 'get', address])
  } catch (error) {
    return (error as Error).message
  }
}

const REFUSED = /unreachable|No route to host/

void test('hosts are peers', { skip }, async t => {
  const { ns, place } = underlay(t)
  const { agent, log } = start(t, ns, place, ['blue', 'red', 'plain'])
  agent.restore()
  agent.see(basis)
  t.same(log, [])
  t.same(peersIn(ns), { [keyOf(2)]: ['10.1.2.0/24', '10.2.0.64/26', 'fd00:1:0:2::/64'] })
  t.match(output(ns, 'wg', ['show', 'fl-wg0', 'endpoints']), /\t192\.0\.2\.2:51820$/m)
  t.match(output(ns, 'wg', ['show', 'fl-wg0', 'listen-port']), /^51999$/m)
  t.match(wayTo(ns, '10.1.2.7'), /dev fl-wg0 src 10\.1\.1\.0 /)
  t.match(wayTo(ns, 'fd00:1:0:2::7'), /dev fl-wg0 .*src fd00:1:0:1:: /)
  t.match(wayTo(ns, '10.2.0.70'), /dev fl-wg0 src 10\.2\.0\.0 /)
  t.match(wayTo(ns, '10.3.2.7'), /dev fl-vx001003 /)
  t.match(wayTo(ns, '10.1.3.7'), REFUSED, 'a host without a key')
  t.match(agent.networks.troubles, ['network blue: 192.0.2.3 has published no key: packets for it are refused'])
  t.match(wayTo(ns, '10.1.9.9'), REFUSED, 'an address that nobody has')
  t.match(agent.facts, { wireguardKey: publicKeyOf(keepKey(`${place}/state/wireguard.key`)), wireguardPort: 51999 })
  const rules = output(ns, 'nft', ['list', 'table', 'inet', 'fairlead_overlay'])
  t.match(rules, /ip saddr 10\.1\.0\.0\/16 fib saddr \. iif oif 0 counter packets 0 bytes 0 drop/)
  t.match(rules, /ip6 daddr fd00:1::\/48 oifname != "fl-wg0" oifname != "lo" oifname != "veth\*" counter .* drop/)
  t.match(rules, /elements = \{ 4789 \}/)
  t.match(rules, /ip saddr 10\.2\.0\.0\/24 ip daddr != 10\.2\.0\.0\/24 counter/, 'internal')
  t.match(output(ns, 'ip', ['-d', 'link', 'show', 'fl-wg0']), /mtu 1440 [^]*wireguard [^]*alias fairlead:\*\//)
  t.equal(agent.syncAll(), 0, 'what is in place is left alone')

  t.test('changes', async t => {
    const step = (what: string, ...events: Event[]): void => {
      const syncs = agent.counts.synchronisations
      agent.follow(events)
      t.same([agent.counts.synchronisations, log], [syncs, []], `${what}: without looking at everything`)
      t.equal(agent.syncAll(), 0, `${what}: complete`)
    }
    step('a key is published', put(host(3)))
    t.match(wayTo(ns, '10.1.3.7'), /dev fl-wg0/)
    t.same(agent.networks.troubles, [])
    step('a block', put(block('red', '10.2.0.128/26', 3)))
    t.same(peersIn(ns)[keyOf(3)], ['10.1.3.0/24', '10.2.0.128/26'])
    const guest = entry(staticKey('red', '10.2.0.9'),
      { host: 'h3', ip: '10.2.0.9', container: 'c', ifname: 'eth0', granted: true })
    step('an address of our block', put(guest))
    t.match(wayTo(ns, '10.2.0.9'), /dev fl-wg0/)
    t.ok(peersIn(ns)[keyOf(3)]!.includes('10.2.0.9/32'))
    step('a block of another host', put(block('blue', '10.1.3.0/24', 2)))
    t.same(peersIn(ns), {
      [keyOf(2)]: ['10.1.2.0/24', '10.1.3.0/24', '10.2.0.64/26', 'fd00:1:0:2::/64'],
      [keyOf(3)]: ['10.2.0.128/26', '10.2.0.9/32'],
    })
    step('another key', put(host(2, { wireguardKey: keyOf(4), wireguardPort: 7 })))
    t.same(Object.keys(peersIn(ns)).sort(), [keyOf(3), keyOf(4)].sort())
    t.match(output(ns, 'wg', ['show', 'fl-wg0', 'endpoints']), /\t192\.0\.2\.2:7$/m)
    step('another address', put(host(2, { wireguardKey: keyOf(4), wireguardPort: 7, vtep4: '192.0.2.22' })))
    t.match(output(ns, 'wg', ['show', 'fl-wg0', 'endpoints']), /\t192\.0\.2\.22:7$/m)
    step('no key', put(host(2, { wireguardKey: 'nonsense', wireguardPort: 7 })))
    t.match(wayTo(ns, '10.1.2.7'), REFUSED)
    t.same(Object.keys(peersIn(ns)), [keyOf(3)])
    step('our own key', put(host(2, { wireguardKey: agent.facts.wireguardKey, wireguardPort: 7 })))
    t.match(wayTo(ns, '10.1.2.7'), REFUSED)
    t.match(agent.networks.troubles.join(), /has the key of this host/)
    step('a host and what it had', gone(guest), gone(block('red', '10.2.0.128/26', 3)), gone(host(3)))
    t.same(peersIn(ns), {})
  })

  t.test('a network that leaves', async t => {
    agent.see(basis)
    const { red } = agent.shares
    memoryFile(`${place}/state/state.json`).write({ ...newMemory('h1'), shares: { blue: agent.shares['blue']! } })
    agent.remove('red', red!)
    t.same(peersIn(ns), { [keyOf(2)]: ['10.1.2.0/24', 'fd00:1:0:2::/64'] })
    t.match(wayTo(ns, '10.2.0.70'), /via 192\.0\.2\.254/, 'nothing is kept of it')
    t.notMatch(output(ns, 'nft', ['list', 'table', 'inet', 'fairlead_overlay']), /10\.2\.0\.0/)
    const { blue } = agent.shares
    memoryFile(`${place}/state/state.json`).write(newMemory('h1'))
    agent.remove('blue', blue!)
    t.equal(output(ns, 'ip', ['link', 'show', 'type', 'wireguard']), '')
    t.equal(agent.facts.wireguardKey, undefined)
  })
})

void test('what is there before the store is', { skip }, async t => {
  const { ns, place } = underlay(t)
  const before = start(t, ns, place, ['blue'])
  before.agent.restore()
  t.match(wayTo(ns, '10.1.2.7'), REFUSED, 'nobody is known yet')
  before.agent.see(basis)
  const key = output(ns, 'wg', ['show', 'fl-wg0', 'private-key'])
  const after = start(t, ns, place, ['blue'])
  after.agent.restore()
  t.same(Object.keys(peersIn(ns)), [keyOf(2)], 'peers stay')
  t.match(wayTo(ns, '10.1.2.7'), /dev fl-wg0/)
  after.agent.see(basis)
  t.equal(output(ns, 'wg', ['show', 'fl-wg0', 'private-key']), key)
  after.agent.drain('removed')
  t.same(peersIn(ns), {})
  t.match(wayTo(ns, '10.1.2.7'), REFUSED)
})

void test('what is in the way', { skip }, async t => {
  const { ns, place } = underlay(t)
  output(ns, 'ip', ['link', 'add', 'wg7', 'type', 'wireguard'])
  output(ns, 'wg', ['set', 'wg7', 'listen-port', '51999'])
  output(ns, 'ip', ['link', 'set', 'wg7', 'up'])
  const { agent, log } = start(t, ns, place, ['blue'])
  agent.see(basis)
  t.match(log.join('\n'), /network blue: UDP port 51999 is in use on this host: stop .* another wireguard-port/)
  t.match(wayTo(ns, '10.1.2.7'), REFUSED, 'and nothing leaves in clear')
  output(ns, 'ip', ['link', 'del', 'wg7'])
  agent.syncAll()
  t.match(wayTo(ns, '10.1.2.7'), /dev fl-wg0/)
  output(ns, 'ip', ['link', 'set', 'eth0', 'mtu', '1300'])
  agent.lookAtUnderlay()
  agent.syncAll()
  t.match(log.join('\n'), /packets of 1240 bytes fit the way to 192\.0\.2\.\d, but IPv6 needs 1280/)
  removeWireguard(ns)
  output(ns, 'ip', ['link', 'add', 'fl-wg0', 'type', 'bridge'])
  output(ns, 'ip', ['link', 'set', 'eth0', 'mtu', '1500'])
  agent.lookAtUnderlay()
  agent.syncAll()
  t.match(log.join('\n'), /link fl-wg0 is not ours: rename or delete it/)
})
