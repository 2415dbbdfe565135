// Expected bytes: strace -e trace=sendmsg -e write=all ip link …. We differ in two ways that the kernel allows:
// NLA_F_NESTED is set, and the text of a kind ends with a NUL.
import { test } from 'tap'
import { encoded, text, u32 } from '../codec.ts'
import { attrs, byKind, list, nest, struct } from '../attrs.ts'
import { u16, u8 } from '../codec.ts'
import { kinds } from './kinds.ts'

const info = byKind(1, 2, kinds)

test('link info of ip link add v0 type veth peer name eth0', async t => {
  const bytes = encoded(info, { kind: 'veth', peer: { name: 'eth0' } })
  t.equal(Buffer.from(bytes).toString('hex'),
    '09000100' + '7665746800000000' + '24000280' + '20000180' + '00000000000000000000000000000000' +
    '09000300' + '6574683000000000')
})

test('link info of ip link add mv0 type macvlan mode bridge', async t => {
  const bytes = encoded(info, { kind: 'macvlan', mode: 'bridge' })
  t.equal(Buffer.from(bytes).toString('hex'), '0c0001006d6163766c616e00' + '0c000280' + '0800010004000000')
  t.same(info.decode(bytes), { kind: 'macvlan', mode: 'bridge' })
})

test('attributes that a newer kernel adds are skipped', async t => {
  const known = attrs({ mtu: [4, u32] })
  const newer = attrs({ mtu: [4, u32], shiny: [400, text] })
  t.same(known.decode(encoded(newer, { mtu: 1400, shiny: 'x' })), { mtu: 1400 })
})

test('what is undefined is not sent', async t => {
  t.equal(encoded(attrs({ mtu: [4, u32], name: [3, text] }), { mtu: undefined }).length, 0)
})

test('a truncated or impossible attribute is an error, not garbage', async t => {
  const known = attrs({ mtu: [4, u32] })
  t.throws(() => known.decode(Uint8Array.of(9, 0, 4, 0, 1)), { name: 'RangeError' })
  t.throws(() => known.decode(Uint8Array.of(2, 0, 4, 0)), { name: 'RangeError' })
  t.throws(() => known.decode(Uint8Array.of(6, 0, 4, 0, 1, 1, 0, 0)), { name: 'RangeError' }, 'a u32 of two bytes')
})

test('lists and headers survive the way there and back', async t => {
  const vlans = nest(list(2, struct({ flags: u16, vid: u16 })))
  const entries = [{ flags: 6, vid: 100 }, { flags: 0, vid: 200 }]
  t.same(vlans.decode(encoded(vlans, entries)), entries)
  const head = struct({ family: u8, pad: u8, index: u16 })
  t.same(head.decode(encoded(head as never, { index: 513 } as never)), { family: 0, pad: 0, index: 513 })
})
