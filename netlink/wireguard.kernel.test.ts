// WireGuard links as wg(8) sees them, and the other way round.
import { test } from 'tap'
import { kernelLacks, lacks, output, ownNamespace } from '#tools/kernel.ts'
import type { Namespace } from '#net/namespace.ts'
import { Wireguard, type WireguardPeer } from './wireguard.ts'

const skip = lacks('wg') || kernelLacks('wireguard')

const PRIVATE = 'iKPJbAtqgoXqtLkgJ1qKbm9Nh7mgQYVvYvOqNYFJ4lY='

const linkIn = (host: Namespace): number => {
  host.link.add({ name: 'wg0', info: { kind: 'wireguard' } })
  return host.link.get('wg0').index
}

/** A public key for each number: any 32 bytes are one. */
const keyOf = (number: number): string => {
  const bytes = Buffer.alloc(32, 7)
  bytes.writeUInt32BE(number)
  return bytes.toString('base64')
}

/** What wg says of the peers. */
const seen = (host: Namespace, what: string): readonly string[] =>
  output(host, 'wg', ['show', 'wg0', what]).trim().split('\n').filter(line => line !== '').sort()

test('settings and peers', { skip }, async t => {
  const host = ownNamespace(t)
  const index = linkIn(host)
  const wg = Wireguard.in(host.generic)!
  t.same(wg.show(index), { privateKey: undefined, listenPort: 0, peers: [] })
  wg.set(index, { privateKey: PRIVATE, listenPort: 51999 })
  t.match(output(host, 'wg', ['show', 'wg0', 'listen-port']), /^51999$/m)
  const stored = output(host, 'wg', ['show', 'wg0', 'private-key']).trim()
  t.equal(wg.show(index).privateKey, stored)

  const peers: readonly WireguardPeer[] = [
    { publicKey: keyOf(1), endpoint: { address: '192.0.2.7', port: 51820 },
      allowedIps: ['10.1.0.0/24', 'fd00:1::/64', '10.2.0.7/32'] },
    { publicKey: keyOf(2), endpoint: { address: '2001:db8::7', port: 7 }, allowedIps: [] },
    { publicKey: keyOf(3), allowedIps: ['0.0.0.0/0'] },
  ]
  t.same(wg.setPeers(index, peers), [])
  t.same(seen(host, 'endpoints'),
    [`${keyOf(1)}\t192.0.2.7:51820`, `${keyOf(2)}\t[2001:db8::7]:7`, `${keyOf(3)}\t(none)`].sort())
  t.same(Object.fromEntries(seen(host, 'allowed-ips').map(line => {
    const [publicKey = '', ...prefixes] = line.split(/\s/)
    return [publicKey, prefixes.sort()]
  })), {
    [keyOf(1)]: ['10.1.0.0/24', '10.2.0.7/32', 'fd00:1::/64'], [keyOf(2)]: ['(none)'], [keyOf(3)]: ['0.0.0.0/0'],
  })

  t.same(wg.setPeers(index, [{ publicKey: keyOf(1), allowedIps: ['10.1.0.0/24', '10.3.0.0/24'] }]), [])
  const [first] = wg.show(index).peers.filter(({ publicKey }) => publicKey === keyOf(1))
  t.same(first && { ...first, allowedIps: [...first.allowedIps].sort() }, {
    publicKey: keyOf(1), endpoint: { address: '192.0.2.7', port: 51820 }, lastHandshake: 0,
    allowedIps: ['10.1.0.0/24', '10.3.0.0/24'],
  }, 'the endpoint stays')
  t.same(wg.setPeers(index, [{ publicKey: keyOf(2), allowedIps: ['10.3.0.0/24'] }]), [])
  t.same(wg.show(index).peers.find(({ publicKey }) => publicKey === keyOf(1))!.allowedIps, ['10.1.0.0/24'],
    'a prefix has one owner')

  output(host, 'wg', ['set', 'wg0', 'peer', keyOf(9), 'endpoint', '[2001:db8::9]:9', 'allowed-ips', 'fd00:9::/48'])
  t.match(wg.show(index).peers.find(({ publicKey }) => publicKey === keyOf(9)),
    { endpoint: { address: '2001:db8::9', port: 9 }, allowedIps: ['fd00:9::/48'] }, 'what wg has made')
  t.same(wg.removePeers(index, [1, 2, 3, 9, 99].map(keyOf)), [])
  t.same(wg.show(index).peers, [])

  t.throws(() => wg.show(host.link.get('lo').index), { code: 'EOPNOTSUPP' })
  t.throws(() => wg.show(4242), { code: 'ENODEV' })
})

test('more than one message holds', { skip }, async t => {
  const host = ownNamespace(t)
  const index = linkIn(host)
  const wg = Wireguard.in(host.generic)!
  wg.set(index, { privateKey: PRIVATE })
  const many = Array.from({ length: 2000 }, (_, i) => ({
    publicKey: keyOf(i), endpoint: { address: `192.0.${2 + (i >> 8)}.${i & 255}`, port: 51820 },
    allowedIps: [`10.${i >> 8}.${i & 255}.0/24`, `fd00:0:0:${i.toString(16)}::/64`],
  }))
  const large = {
    publicKey: keyOf(5000), endpoint: { address: '192.0.2.1', port: 1 },
    allowedIps: Array.from({ length: 3000 }, (_, i) => `172.16.${i >> 8}.${i & 255}/32`),
  }
  const start = performance.now()
  t.same(wg.setPeers(index, [...many, large]), [])
  const between = performance.now()
  const { peers } = wg.show(index)
  t.comment(`2,001 peers: ${Math.round(between - start)} ms, seen in ${Math.round(performance.now() - between)} ms`)
  t.equal(peers.length, 2001)
  t.same([...peers.find(({ publicKey }) => publicKey === large.publicKey)!.allowedIps].sort(),
    [...large.allowedIps].sort())
  t.equal(new Set(peers.flatMap(({ allowedIps }) => allowedIps)).size, 7000)
  t.equal(seen(host, 'allowed-ips').length, 2001)
  t.same(wg.removePeers(index, many.map(({ publicKey }) => publicKey)), [])
  t.equal(seen(host, 'peers').join(), large.publicKey)
})

test('a kernel without it', { skip: lacks('ip') || kernelLacks('wireguard') === false && 'this kernel has it' },
  async t => {
    const host = ownNamespace(t)
    t.equal(Wireguard.in(host.generic), undefined)
  })
