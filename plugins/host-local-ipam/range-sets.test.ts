import { test } from 'tap'
import { describe } from '#cni/address-range.ts'
import { admit } from '#cni/schema.ts'
import { schema, type Config } from './config.ts'
import { readRangeSets } from './range-sets.ts'
import { assignRequests } from './requested.ts'

const admitted = (raw: object): Config => admit(schema, raw) as Config
const sets = (raw: object, version = '1.0.0') => readRangeSets(admitted(raw), version)
const texts = (raw: object): string[] => sets(raw).map(({ ranges }) => ranges.map(describe).join(' '))

const a = { subnet: '10.1.0.0/30' }
const b = { subnet: '10.2.0.0/30' }
const six = { subnet: 'fd00::/126' }
const [A, B, SIX] = ['10.1.0.1-10.1.0.2', '10.2.0.1-10.2.0.2', 'fd00::1-fd00::3']

test('where ranges come from, and in which order', async t => {
  t.same(texts({ ipam: { ranges: [[a], [six]] } }), [A, SIX])
  t.same(texts({ ipam: { ranges: [[a, b]] } }), [`${A} ${B}`])
  t.same(texts({ ipam: a }), [A], 'flat keys')
  t.same(texts({ ipam: { ...a, ranges: [[b]] } }), [A, B], 'flat keys before ranges')
  t.same(texts({ ipam: a, runtimeConfig: { ipRanges: [[b], [six]] } }), [B, SIX, A],
    'what the runtime sends before both')
  t.same(texts({ IPAM: { Ranges: [[{ Subnet: a.subnet, RANGESTART: '10.1.0.2' }]] } }), ['10.1.0.2-10.1.0.2'],
    'keys in any case')
})

test('ranges as go-cni sends them: one flat list, capital keys, empty strings', async t => {
  const ipRanges = [{ Subnet: '10.1.0.0/30', RangeStart: '', RangeEnd: '', Gateway: '' },
    { Subnet: '10.2.0.0/30', RangeStart: '10.2.0.2' }]
  t.same(texts({ ipam: {}, runtimeConfig: { ipRanges } }), [`${A} 10.2.0.2-10.2.0.2`])
  t.same(texts({ ipam: {}, runtimeConfig: { IPRanges: [ipRanges] } }), [`${A} 10.2.0.2-10.2.0.2`])
})

test('what cannot be', async t => {
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{}, /^ipam is missing/],
    [{ ipam: {} }, /^ipam\.ranges is missing/],
    [{ ipam: { ranges: [] } }, /^ipam\.ranges is missing/],
    [{ ipam: { ranges: [[]] } }, /^ipam\.ranges\[0\] is an empty range set/],
    [{ ipam: { ranges: [[a], [{}]] } }, /^ipam\.ranges\[1\]\[0\]\.subnet is missing/],
    [{ ipam: { ranges: [[a, six]] } }, /^ipam\.ranges\[0\] mixes 10\.1\.0\.0\/30 and fd00::\/126/],
    [{ ipam: { ranges: [[a], [a]] } }, /10\.1\.0\.1-10\.1\.0\.2 and 10\.1\.0\.1-10\.1\.0\.2 overlap/],
    [{ ipam: { ranges: [[a, { subnet: '10.0.0.0/8' }]] } }, /overlap/],
    [{ ipam: { ...a, ranges: [[a]] } }, /overlap/],
    [{ ipam: a, runtimeConfig: { ipRanges: ['x'] } }, /^runtimeConfig\.ipRanges\[0\] "x" is no list/],
    [{ ipam: a, runtimeConfig: { ipRanges: [[7]] } }, /^runtimeConfig\.ipRanges\[0\]\[0\] 7 is no range/],
    [{ ipam: a, runtimeConfig: { ipRanges: [{ subnet: 7 }] } }, /^runtimeConfig\.ipRanges\[0\]\.subnet 7 is no string/],
    [{ ipam: a, runtimeConfig: { ipRanges: [[{ subnet: '10.9.0.1/24' }]] } },
      /^runtimeConfig\.ipRanges\[0\]\[0\]\.subnet 10\.9\.0\.1\/24 has host bits/],
    [{ ipam: { ...a, exclude: ['x'] } }, /^ipam\.exclude\[0\] "x" is neither address nor prefix/],
    [{ ipam: { ...a, exclude: ['10.1.0.2'] } }, /^ipam 10\.1\.0\.1-10\.1\.0\.2 has no address to hand out/],
    [{ ipam: { ...a, exclude: ['10.0.0.0/8'] } }, /has no address to hand out/],
  ]
  for (const [raw, message] of wrong) t.throws(() => sets(raw), { code: 7, message }, JSON.stringify(raw))
})

test('before 0.3.0 a result has room for one address per family', async t => {
  t.throws(() => sets({ ipam: { ranges: [[a], [b]] } }, '0.2.0'), { code: 7, message: /0\.2\.0/ })
  t.equal(sets({ ipam: { ranges: [[a], [six]] } }, '0.2.0').length, 2)
  t.equal(sets({ ipam: { ranges: [[a], [b]] } }, '0.3.0').length, 2)
})

const wide = { ipam: { ranges: [[{ subnet: '10.1.0.0/24', rangeEnd: '10.1.0.99' }], [{ subnet: 'fd00::/64' }]],
  exclude: ['10.1.0.64/28'] } }
const requests = (raw: object, cniArgs: Record<string, string> = {}) => {
  const config = admitted({ ...wide, ...raw })
  return assignRequests(config, new Map(Object.entries(cniArgs)), readRangeSets(config, '1.0.0'))
}

test('requested addresses, of the first source that names any', async t => {
  const runtimeConfig = { ips: ['10.1.0.5/24'] }
  const args = { cni: { ips: ['10.1.0.6', 'fd00::6/64'] } }
  t.same(requests({}), [undefined, undefined])
  t.same(requests({ runtimeConfig, args }, { IP: '10.1.0.7' }), ['10.1.0.5', undefined])
  t.same(requests({ args }, { IP: '10.1.0.7' }), ['10.1.0.6', 'fd00::6'])
  t.same(requests({ runtimeConfig: { ips: [] }, args: { cni: { ips: null } } }, { IP: '10.1.0.7/16' }),
    ['10.1.0.7', undefined])
  t.same(requests({}, { IP: 'FD00:0::7' }), [undefined, 'fd00::7'], 'in canonical text')
  t.same(requests({}, { IP: '' }), [undefined, undefined])
})

test('requests that no range can serve', async t => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['10.1.0.1', /^CNI_ARGS IP 10\.1\.0\.1 is the gateway/],
    ['10.1.0.70', /^CNI_ARGS IP 10\.1\.0\.70 is excluded/],
    ['10.1.0.100', /^CNI_ARGS IP 10\.1\.0\.100 is in no range.*10\.1\.0\.1-10\.1\.0\.99/],
    ['192.0.2.1', /is in no range/],
    ['10.1.0.5,10.1.0.6', /^CNI_ARGS IP 10\.1\.0\.6 is in no range, or its range set gives another/],
    ['10.1.0.05', /^CNI_ARGS IP "10\.1\.0\.05" is no IP address/],
    ['yes', /is no IP address/],
  ]
  for (const [IP, message] of wrong) t.throws(() => requests({}, { IP }), { code: 7, message }, IP)
})
