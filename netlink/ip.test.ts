// Our address codec against ip-address, on random and on hostile text.
import { test } from 'tap'
import { Address4, Address6 } from 'ip-address'
import { familyOf, formatIp, numberOf, parseIp, textOf } from './ip.ts'

/** A generator with a fixed seed, so that a failure can be had again: mulberry32. */
const randomFrom = (seed: number) => (below: number): number => {
  seed = seed + 0x6d2b79f5 | 0
  let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed)
  mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
  return ((mixed ^ mixed >>> 14) >>> 0) % below
}
const random = randomFrom(20260801)

/** Bytes with long runs of zeros and small numbers: where the shortening of IPv6 goes wrong. */
const someBytes = (length: number): Uint8Array => {
  const dull = random(3) > 0
  return Uint8Array.from({ length }, () => dull && random(3) > 0 ? 0 : random(256))
}

/** What ip-address makes of a text, as bytes. It also takes zones and prefix lengths, which we leave to others. */
const theirs = (text: string): number[] | undefined => {
  if (/[/%]/.test(text)) return undefined
  try {
    return text.includes(':') ? [...new Address6(text).toUnsignedByteArray()] : [...new Address4(text).toArray()]
  } catch {
    return undefined
  }
}

const padded = (bytes: number[] | undefined, text: string): number[] | undefined =>
  bytes && text.includes(':') ? [...Array<number>(16 - bytes.length).fill(0), ...bytes] : bytes

const ours = (text: string): number[] | undefined => {
  const bytes = parseIp(text)
  return bytes && [...bytes]
}

test('random addresses go to text and back as in ip-address', async t => {
  const wrong: string[] = []
  for (let i = 0; i < 3000; i++) {
    const four = someBytes(4)
    const text = formatIp(four)
    if (text !== Address4.fromByteArray([...four]).correctForm()) wrong.push(`${[...four]} became ${text}`)
    if (String(ours(text)) !== String([...four])) wrong.push(`${text} became ${ours(text)}`)

    const six = someBytes(16)
    const long = formatIp(six)
    const mapped = long.startsWith('::ffff:') && long.includes('.') // ip-address writes these in hexadecimal
    const expected = Address6.fromUnsignedByteArray([...six]).correctForm()
    if (!mapped && long !== expected) wrong.push(`${[...six]} became ${long}, not ${expected}`)
    for (const spelling of [long, long.toUpperCase(), Address6.fromUnsignedByteArray([...six]).canonicalForm()]) {
      if (String(ours(spelling)) !== String([...six])) wrong.push(`${spelling} became ${ours(spelling)}`)
    }
  }
  t.same(wrong, [])
})

test('numbers are the same addresses', async t => {
  const wrong: string[] = []
  for (let i = 0; i < 500; i++) {
    for (const bytes of [someBytes(4), someBytes(16)]) {
      const family = bytes.length === 4 ? 'ipv4' : 'ipv6'
      if (textOf(family, numberOf(bytes)) !== formatIp(bytes)) wrong.push(formatIp(bytes))
    }
  }
  t.same(wrong, [])
  t.equal(textOf('ipv4', 0xffffffffn), '255.255.255.255')
  t.equal(textOf('ipv6', (1n << 128n) - 1n), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')
  t.equal(numberOf(parseIp('fd00::1')!.subarray()), 0xfd00n << 112n | 1n)
  t.equal(numberOf(new Uint8Array([9, 9, 10, 0, 0, 1]).subarray(2)), 0x0a000001n, 'also within a larger buffer')
})

test('the texts of RFC 5952', async t => {
  const canonical: Record<string, string> = {
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1', // 4.2.3: the first of two equal runs
    '2001:0db8::0001': '2001:db8::1',
    '2001:db8::0:1': '2001:db8::1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1', // 4.2.2: a single group is not shortened
    '2001:DB8::A': '2001:db8::a',
    '0:0:0:0:0:0:0:0': '::',
    '::ffff:192.0.2.1': '::ffff:192.0.2.1',
    '::FFFF:c000:0201': '::ffff:192.0.2.1',
  }
  for (const [text, wanted] of Object.entries(canonical)) t.equal(formatIp(parseIp(text)!), wanted, text)
  t.same([familyOf('10.0.0.1'), familyOf('::1')], ['ipv4', 'ipv6'])
})

const hostile = [
  '', ' ', '.', '...', ':', '::', ':::', '::1::', '1', '1.2.3', '1.2.3.4.5', '1.2.3.', '.1.2.3', '1..2.3',
  '256.1.1.1', '1.1.1.256', '01.2.3.4', '1.2.3.04', '00.0.0.0', '0x1.2.3.4', '1e1.2.3.4', '+1.2.3.4', '-1.2.3.4',
  '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4\n', '1.2.3.4\0', '１.2.3.4', '٣.2.3.4', '1.2.3.4/24', '1,2,3,4', '4294967295',
  'fd00', 'fd00:', ':fd00', 'fd00::1::2', 'fd00:::1', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '1::3:4:5:6:7:8', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '12345::', 'g::',
  '::g', ' ::1', '::1 ', '::1\n', 'fe80::1%eth0', '::1/64', '::1.2.3.4', '::1.2.3', '::1.2.3.4.5', '::1.2.3.256',
  '::01.2.3.4', '1.2.3.4::', '1::1.2.3.4:5', '1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:7:1.2.3.4', '::ffff:1.2.3.4', '::-1',
  '::+1', '::0x1', '[::1]', '::１', '1:2:3:4:5:6:7:', '::' + '0:'.repeat(5000), '1'.repeat(10000), '1.'.repeat(5000),
]

test('hostile text is read as ip-address reads it', async t => {
  for (const text of hostile) t.same(ours(text), padded(theirs(text), text), JSON.stringify(text.slice(0, 40)))

  const alphabet = '0123456789abcfF:::...'
  const wrong: string[] = []
  let valid = 0
  for (let i = 0; i < 20000; i++) {
    const text = Array.from({ length: 1 + random(18) }, () => alphabet[random(alphabet.length)]).join('')
    const mine = ours(text)
    if (mine) valid++
    if (String(mine) !== String(padded(theirs(text), text))) wrong.push(`${text}: ${mine}, ip-address: ${theirs(text)}`)
  }
  t.same(wrong, [])
  t.ok(valid > 20, `${valid} of the random texts are addresses`)
})
