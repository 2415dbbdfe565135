import { test } from 'tap'
import { countIn } from '#cni/address-range.ts'
import { numberOf, parseIp } from '#netlink/ip.ts'
import { blockKey, staticKey } from './layout.ts'
import { blockAt, blockCount, blockOf, freeBlocks, isBlockOf, usableIn } from './range.ts'

const four = { subnet: '10.1.0.0/16', blockLength: 26 }
const six = { subnet: 'fd00:1::/32', blockLength: 64 }

void test('blocks of a range', async t => {
  t.equal(blockCount(four), 1024)
  t.equal(blockCount(six), 2 ** 32)
  t.equal(blockCount({ subnet: 'fd00::/8', blockLength: 64 }), 2 ** 48, 'no more than can be counted')
  t.equal(blockAt(four, 0), '10.1.0.0/26')
  t.equal(blockAt(four, 1023), '10.1.255.192/26')
  t.equal(blockAt(six, 2 ** 32 - 1), 'fd00:1:ffff:ffff::/64')
  t.equal(blockOf(four, '10.1.0.99'), '10.1.0.64/26')
  t.equal(blockOf(four, '10.1.0.64/26'), '10.1.0.64/26')
  t.equal(blockOf(six, 'fd00:1:0:7::1'), 'fd00:1:0:7::/64')
  const elsewhere = ['10.0.255.255', '10.2.0.0', 'fd00::1', 'x']
  for (const address of elsewhere) t.equal(blockOf(four, address), undefined, address)
  t.ok(isBlockOf(four, '10.1.0.64/26'))
  for (const other of ['10.1.0.65/26', '10.1.0.64/27', '10.2.0.0/26']) t.notOk(isBlockOf(four, other), other)
})

void test('free blocks', async t => {
  const tiny = { subnet: '10.1.0.0/24', blockLength: 26 }
  const taken = (block: string): boolean => block === '10.1.0.128/26'
  t.same([...freeBlocks(tiny, taken, () => 0.25)], ['10.1.0.64/26', '10.1.0.192/26', '10.1.0.0/26'])
  t.same([...freeBlocks(tiny, () => true)], [])
})

void test('a part of a subnet, with holes', async t => {
  const part = { subnet: '10.1.0.0/24', blockLength: 28, rangeStart: '10.1.0.20', rangeEnd: '10.1.0.99' }
  t.equal(blockCount(part), 6)
  t.equal(blockAt(part, 0), '10.1.0.16/28')
  t.equal(blockAt(part, 5), '10.1.0.96/28')
  t.equal(blockOf(part, '10.1.0.15'), undefined)
  t.equal(blockOf(part, '10.1.0.17'), '10.1.0.16/28')
  const first = numberOf(parseIp('10.1.0.30')!)
  const holed = { ...part, holes: [{ first, last: first + 40n }] }
  t.same([...freeBlocks(holed, () => false, () => 0)],
    ['10.1.0.16/28', '10.1.0.64/28', '10.1.0.80/28', '10.1.0.96/28'], 'blocks that are all hole are none')
  t.equal(countIn(usableIn(holed, '10.1.0.16/28')), 10n)
  t.equal(countIn(usableIn(holed, '10.1.0.32/28')), 0n)
  t.equal(countIn(usableIn(holed, '10.1.0.96/28')), 4n)
})

void test('keys sort as addresses do', async t => {
  t.equal(blockKey('net', '10.1.2.0/24'), '/fairlead/v1/nets/net/blocks/0a010200-24')
  t.equal(staticKey('net', 'fd00::1'), '/fairlead/v1/nets/net/static/fd000000000000000000000000000001')
  const keys = Array.from({ length: 300 }, (_, i) => blockKey('net', blockAt(four, i)))
  t.same([...keys].sort(), keys)
})
