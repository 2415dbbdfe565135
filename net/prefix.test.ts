import { test } from 'tap'
import { Address4, Address6 } from 'ip-address'
import { formatIp } from '#netlink/ip.ts'
import { canonicalPrefix, formatPrefix, networkOf, nthAddress, overlaps, parsePrefix, subnetOf } from './prefix.ts'

const addresses = ['0.0.0.0', '10.88.15.255', '172.31.255.254', '255.255.255.255']
const longAddresses = ['::', 'fd00::1', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']

test('subnets are those of ip-address, at every prefix length', async t => {
  const wrong: string[] = []
  for (const address of addresses) for (let length = 0; length <= 32; length++) {
    const wanted = `${new Address4(`${address}/${length}`).startAddress().correctForm()}/${length}`
    if (subnetOf(parsePrefix(`${address}/${length}`)!) !== wanted) wrong.push(`${address}/${length}`)
  }
  for (const address of longAddresses) for (let length = 0; length <= 128; length++) {
    const wanted = `${new Address6(`${address}/${length}`).startAddress().correctForm()}/${length}`
    if (subnetOf(parsePrefix(`${address}/${length}`)!) !== wanted) wrong.push(`${address}/${length}`)
  }
  t.same(wrong, [])
})

test('a prefix keeps its host bits', async t => {
  const prefix = parsePrefix('10.1.2.3/24')!
  t.same([prefix.family, prefix.length, formatIp(prefix.bytes), formatPrefix(prefix)],
    ['ipv4', 24, '10.1.2.3', '10.1.2.3/24'])
  t.equal(formatIp(networkOf(prefix)), '10.1.2.0')
  t.equal(canonicalPrefix('FD00:0::1/64'), 'fd00::1/64')
  t.equal(canonicalPrefix('default'), 'default', 'text that is no prefix stays')
})

test('what is no prefix', async t => {
  for (const text of ['', '/', '10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8',
    '10.0.0/8', '10.0.0.0/ 8',
    '10.0.0.0/8\n', '10.0.0.0/1e1', '::/129', '::/0x1', 'fd00::', 'fe80::1%eth0/64', '/24', '10.0.0.0/255.0.0.0']) {
    t.equal(parsePrefix(text), undefined, JSON.stringify(text))
  }
})

test('counting from the first address carries', async t => {
  t.equal(nthAddress(parsePrefix('10.0.0.77/16')!, 1), '10.0.0.1')
  t.equal(nthAddress(parsePrefix('10.0.0.0/16')!, 256), '10.0.1.0')
  t.equal(nthAddress(parsePrefix('10.0.0.0/8')!, 65535), '10.0.255.255')
  t.equal(nthAddress(parsePrefix('fd00::/64')!, 65536), 'fd00::1:0')
})

test('overlap', async t => {
  const apart = (one: string, other: string): boolean => overlaps(parsePrefix(one)!, parsePrefix(other)!)
  t.ok(apart('10.0.0.0/8', '10.9.0.0/16'))
  t.ok(apart('10.9.0.0/16', '10.0.0.0/8'))
  t.ok(apart('0.0.0.0/0', '203.0.113.7/32'))
  t.notOk(apart('10.0.0.0/9', '10.128.0.0/9'))
  t.notOk(apart('0.0.0.0/0', '::/0'), 'families have nothing in common')
})
