import { test } from 'tap'
import {
  candidates, capacity, isCandidate, merged, numberIn, overlap, readRange, type RangeConfig, type RangeSet,
} from './address-range.ts'

const range = (config: RangeConfig) => readRange('ipam.ranges[0][0]', config)

const setOf = (configs: readonly RangeConfig[], holes: readonly (readonly [string, string])[] = []): RangeSet => {
  const ranges = configs.map(range)
  const { family } = ranges[0]!
  const gateways = ranges.map(({ gateway }) => ({ first: gateway, last: gateway }))
  const others = holes.map(([first, last]) => ({ first: numberIn(family, first)!, last: numberIn(family, last)! }))
  return { key: 'ipam.ranges[0]', family, ranges, holes: merged([...gateways, ...others]) }
}

const order = (set: RangeSet, after?: string): string[] => [...candidates(set, numberIn(set.family, after))]
const lastPart = (addresses: readonly string[]): string => addresses.map(address => address.split('.')[3]).join(' ')

test('the order of the reference: after the last one, round, the gateway never', async t => {
  const set = setOf([{ subnet: '10.0.0.0/29' }])
  t.equal(lastPart(order(set)), '2 3 4 5 6', 'neither network nor broadcast address')
  t.equal(lastPart(order(set, '10.0.0.4')), '5 6 2 3 4', 'the last one comes last')
  t.equal(lastPart(order(set, '10.0.0.6')), '2 3 4 5 6', 'from the end to the beginning')
  t.equal(lastPart(order(set, '10.0.0.1')), '2 3 4 5 6', 'the gateway as last one')
  t.equal(lastPart(order(set, '10.9.9.9')), '2 3 4 5 6', 'one from elsewhere counts as none')
  t.equal(lastPart(order(setOf([{ subnet: '10.0.0.0/29', gateway: '10.0.0.4' }]))), '1 2 3 5 6')
  t.equal(lastPart(order(setOf([{ subnet: '10.0.0.0/29', gateway: '10.9.9.9' }]))), '1 2 3 4 5 6', 'a gateway outside')
  t.same(order(setOf([{ subnet: 'fd00::/126' }])), ['fd00::2', 'fd00::3'], 'IPv6 has no broadcast address')
})

test('ranges of a set one after another', async t => {
  const set = setOf([
    { subnet: '10.0.0.0/29', rangeStart: '10.0.0.5' },
    { subnet: '10.0.0.0/29', rangeStart: '10.0.0.2', rangeEnd: '10.0.0.3' },
  ])
  t.equal(lastPart(order(set)), '5 6 2 3')
  t.equal(lastPart(order(set, '10.0.0.6')), '2 3 5 6')
  t.equal(lastPart(order(set, '10.0.0.2')), '3 5 6 2')
})

test('exclusions', async t => {
  const set = setOf([{ subnet: '10.0.0.0/28' }],
    [['10.0.0.0', '10.0.0.3'], ['10.0.0.6', '10.0.0.8'], ['10.0.0.14', '10.0.0.99']])
  t.equal(lastPart(order(set)), '4 5 9 10 11 12 13')
  t.equal(lastPart(order(set, '10.0.0.7')), '9 10 11 12 13 4 5', 'the last one is excluded by now')
  t.equal(capacity(set), 7n)
  t.notOk(isCandidate(set, numberIn('ipv4', '10.0.0.7')!))
  t.ok(isCandidate(set, numberIn('ipv4', '10.0.0.9')!))
  const wide = setOf([{ subnet: 'fd00::/64' }], [['fd00::', 'fd00::ffff:ffff:ffff']])
  t.equal(candidates(wide).next().value, 'fd00::1:0:0:0', 'large exclusions are not counted through')
})

test('every candidate once, and as many as the capacity says', async t => {
  for (const after of [undefined, '10.0.0.1', '10.0.0.9', '10.0.0.77', '10.0.1.20', '10.0.1.255']) {
    const set = setOf([{ subnet: '10.0.1.0/26' }, { subnet: '10.0.0.0/25', rangeStart: '10.0.0.9' }],
      [['10.0.0.60', '10.0.0.70'], ['10.0.1.0', '10.0.1.4']])
    const all = order(set, after)
    t.equal(BigInt(all.length), capacity(set), `${after}: ${all.length}`)
    t.equal(new Set(all).size, all.length)
  }
})

test('defaults', async t => {
  const { first, last, gateway } = range({ subnet: '10.1.2.0/24', rangeEnd: '10.1.2.20' })
  t.same([first, last, gateway], ['10.1.2.1', '10.1.2.20', '10.1.2.1'].map(text => numberIn('ipv4', text)))
  t.equal(range({ subnet: '10.1.2.0/24', rangeStart: '10.1.2.10' }).gateway, numberIn('ipv4', '10.1.2.1'))
  t.equal(range({ subnet: 'fd00::/64' }).last, numberIn('ipv6', 'fd00::ffff:ffff:ffff:ffff'))
})

test('what is wrong with a range is said with key and value', async t => {
  const wrong: readonly (readonly [RangeConfig, RegExp])[] = [
    [{}, /ranges\[0\]\[0\]\.subnet is missing/],
    [{ subnet: '10.1.2.0' }, /subnet "10\.1\.2\.0" is no subnet/],
    [{ subnet: '10.1.2.0/33' }, /is no subnet/],
    [{ subnet: '10.1.2.1/24' }, /subnet 10\.1\.2\.1\/24 has host bits set/],
    [{ subnet: '10.1.2.0/31' }, /subnet 10\.1\.2\.0\/31 is too small/],
    [{ subnet: 'fd00::/127' }, /too small/],
    [{ subnet: '10.1.2.0/24', rangeStart: '10.1.3.1' }, /rangeStart 10\.1\.3\.1 is outside of subnet 10\.1\.2\.0\/24/],
    [{ subnet: '10.1.2.0/24', rangeEnd: '10.1.1.1' }, /rangeEnd 10\.1\.1\.1 is outside/],
    [{ subnet: '10.1.2.0/24', rangeEnd: 'fd00::1' }, /rangeEnd fd00::1 is not of the family/],
    [{ subnet: '10.1.2.0/24', rangeStart: '10.1.2.010' }, /rangeStart "10\.1\.2\.010" is no IP address/],
    [{ subnet: '10.1.2.0/24', rangeStart: '10.1.2.10/24' }, /is no IP address/],
    [{ subnet: '10.1.2.0/24', rangeStart: '10.1.2.10', rangeEnd: '10.1.2.9' },
      /rangeStart 10\.1\.2\.10 is behind rangeEnd 10\.1\.2\.9/],
    [{ subnet: '10.1.2.0/24', gateway: 'here' }, /gateway "here" is no IP address/],
    [{ subnet: '10.1.2.0/24', gateway: 'fd00::1' }, /gateway fd00::1 is not of the family/],
  ]
  for (const [config, message] of wrong) t.throws(() => range(config), { code: 7, message }, JSON.stringify(config))
})

test('overlap', async t => {
  const one = range({ subnet: '10.1.0.0/16', rangeStart: '10.1.5.0', rangeEnd: '10.1.6.0' })
  t.ok(overlap(one, range({ subnet: '10.1.6.0/24', rangeStart: '10.1.6.0' })))
  t.notOk(overlap(one, range({ subnet: '10.1.6.0/24' })), 'what is handed out counts, not the subnet')
  t.notOk(overlap(range({ subnet: 'fd00::/64' }), one))
})
