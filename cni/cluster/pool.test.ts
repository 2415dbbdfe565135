// What a pool is, how two configurations of one differ, and when two pools are in each other's way.
import { test } from 'tap'
import { foreignTo, handedOut, hostLocalConfig } from './addresses.ts'
import { clashOf, differenceOf, readPoolRange, readPoolRanges, type PoolRange, type PoolRangeConfig } from './pool.ts'
import { capacity } from '../address-range.ts'
import type { PoolRun } from './run-file.ts'

const range = (subnet: string, more: PoolRangeConfig = {}): PoolRange => readPoolRange('ranges[0]', { subnet, ...more })

void test('defaults', async t => {
  t.same(range('192.168.1.0/24'), {
    subnet: '192.168.1.0/24', rangeStart: '192.168.1.1', rangeEnd: '192.168.1.254', gateway: '192.168.1.1',
    blockLength: 28,
  })
  t.same(range('FD00:0:0:1::/64', { rangeStart: 'fd00:0:0:1::10' }), {
    subnet: 'fd00:0:0:1::/64', rangeStart: 'fd00:0:0:1::10', rangeEnd: 'fd00::1:ffff:ffff:ffff:ffff',
    gateway: 'fd00:0:0:1::1', blockLength: 122,
  })
  const lengths = { '10.0.0.0/8': 28, '10.0.0.0/25': 29, '10.0.0.0/29': 30, '10.0.0.0/30': 30, 'fd00::/120': 124 }
  for (const [subnet, length] of Object.entries(lengths)) t.equal(range(subnet).blockLength, length, subnet)
  t.equal(range('10.0.0.0/24', { rangeStart: '10.0.0.100', rangeEnd: '10.0.0.131' }).blockLength, 30, '32 addresses')
  t.equal(range('10.0.0.0/24', { blockLength: 24 }).blockLength, 24)
})

void test('what is no pool', async t => {
  const wrong: readonly (readonly [readonly PoolRangeConfig[], RegExp])[] = [
    [[], /^ranges is empty/],
    [[{}], /^ranges\[0\]\.subnet is missing/],
    [[{ subnet: '10.0.0.1/24' }], /host bits/],
    [[{ subnet: '10.0.0.0/24', rangeEnd: '10.0.1.9' }], /^ranges\[0\]\.rangeEnd 10\.0\.1\.9 is outside/],
    [[{ subnet: '10.0.0.0/24', blockLength: 23 }], /^ranges\[0\]\.blockLength 23 does not cut 10\.0\.0\.0\/24/],
    [[{ subnet: '10.0.0.0/24', blockLength: 31 }], /blockLength 31/],
    [[{ subnet: '10.0.0.0/24' }, { subnet: '10.1.0.0/24' }], /a pool has one range of a family/],
    [[{ subnet: '10.0.0.0/24' }, { subnet: 'fd00::/64' }, { subnet: 'fd01::/64' }], /one range of a family/],
  ]
  for (const [ranges, message] of wrong) t.throws(() => readPoolRanges('ranges', ranges), { code: 7, message })
})

void test('differences', async t => {
  const pool = [range('10.0.0.0/24'), range('fd00::/64')]
  const differs = (wanted: readonly PoolRange[], isGiven = true) => differenceOf('ranges', wanted, pool, () => isGiven)
  t.equal(differs([range('fd00::/64'), range('10.0.0.0/24')]), undefined, 'whatever the order')
  t.equal(differs([range('10.0.0.0/24', { rangeEnd: '10.0.0.99' }), pool[1]!]),
    'ranges[0].rangeEnd 10.0.0.99: the pool has 10.0.0.254')
  t.equal(differs([range('10.0.0.0/24', { gateway: '10.0.0.9' }), pool[1]!]),
    'ranges[0].gateway 10.0.0.9: the pool has 10.0.0.1')
  const shorter = [range('10.0.0.0/24', { blockLength: 27 }), pool[1]!]
  t.equal(differs(shorter), 'ranges[0].blockLength 27: the pool has 28')
  t.equal(differs(shorter, false), undefined, 'left out')
  t.equal(differs(pool.slice(0, 1)), 'ranges has no range for fd00::/64 of the pool')
  t.equal(differenceOf('ranges', pool, pool.slice(0, 1), () => false),
    'ranges[1].subnet fd00::/64: the pool has 10.0.0.0/24 only')
})

void test('two pools', async t => {
  const part = (rangeStart: string, rangeEnd: string, gateway = '10.0.0.1') =>
    range('10.0.0.0/24', { rangeStart, rangeEnd, gateway })
  const low = part('10.0.0.10', '10.0.0.99')
  t.equal(clashOf(low, part('10.0.0.100', '10.0.0.199')), undefined, 'parts of one segment')
  t.equal(clashOf(low, range('10.0.1.0/24')), undefined)
  t.equal(clashOf(low, range('fd00::/64')), undefined)
  t.equal(clashOf(low, part('10.0.0.99', '10.0.0.199')), '10.0.0.10-10.0.0.99 overlaps 10.0.0.99-10.0.0.199')
  t.equal(clashOf(low, range('10.0.0.0/16', { rangeStart: '10.0.9.9' })), 'subnet 10.0.0.0/24 overlaps 10.0.0.0/16')
  for (const [one, other] of [[low, part('10.0.0.100', '10.0.0.199', '10.0.0.50')],
    [part('10.0.0.100', '10.0.0.199', '10.0.0.50'), low]] as const)
    t.equal(clashOf(one, other), 'gateway 10.0.0.50 is in 10.0.0.10-10.0.0.99')
})

const run: PoolRun = {
  network: 'lan', addressing: 'pool', ranges: [range('10.0.0.0/24', { rangeStart: '10.0.0.20' }), range('fd00::/64')],
  blocks: ['10.0.0.16/28', '10.0.0.240/28', 'fd00::40/122'], reserved: ['10.0.0.21'], statics: [],
}

void test('what host-local is told', async t => {
  const config = hostLocalConfig(run, '/d', { exclude: ['10.0.0.24/29'], more: { routes: [] } })
  const four = { subnet: '10.0.0.0/24', gateway: '10.0.0.1' }
  t.same(config, {
    type: 'host-local', dataDir: '/d', routes: [],
    exclude: ['10.0.0.21', '10.0.0.0', '10.0.0.255', 'fd00::', '10.0.0.24/29'],
    ranges: [
      [{ ...four, rangeStart: '10.0.0.20', rangeEnd: '10.0.0.31' },
        { ...four, rangeStart: '10.0.0.240', rangeEnd: '10.0.0.254' }],
      [{ subnet: 'fd00::/64', rangeStart: 'fd00::40', rangeEnd: 'fd00::7f', gateway: 'fd00::1' }],
    ],
  })
  t.equal(capacity(handedOut(run, 'ipv4', ['10.0.0.24/29'])), 3n + 15n)
  t.equal(capacity(handedOut({ ...run, blocks: [] }, 'ipv4')), 0n)
  t.same(hostLocalConfig(run, '/d', { claimed: ['10.0.0.99'] })['ranges'], [
    [{ ...four, rangeStart: '10.0.0.99', rangeEnd: '10.0.0.99' }], (config['ranges'] as unknown[])[1],
  ])
})

void test('requests', async t => {
  const asked = (text: string) => [{ key: 'ips', text }]
  t.same(foreignTo(run, asked('10.0.0.30/24')), [])
  t.same(foreignTo(run, asked('10.0.0.99')), ['10.0.0.99'], 'of another host\'s block, or of nobody\'s')
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['10.0.0.9', /ips 10\.0\.0\.9 is not in 10\.0\.0\.20-10\.0\.0\.254 of network lan/],
    ['10.0.0.99', /is excluded from network lan/], ['10.0.0.255', /is not in/],
    ['10.1.0.9', /is not in 10\.0\.0\.0\/24, fd00::\/64 of network lan/],
  ]
  for (const [text, message] of wrong)
    t.throws(() => foreignTo(run, asked(text), ['10.0.0.96/30']), { code: 7, message })
})
