import { test } from 'tap'
import { decodeConfig, salvaged, validated } from './config.ts'
import { admit, type Schema, type Validate } from './schema.ts'
import { readValidAttachments } from './valid-attachments.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (text: string, verb: 'ADD' | 'CHECK' | 'GC' = 'ADD') => decodeConfig(bytes(text), verb)

test('what is no JSON object', async t => {
  for (const text of ['', '{', '[]', '"x"', '5', '\ufeff{"name":"a"}', '{"name":"a"} x']) {
    t.throws(() => decode(text), { code: 6 }, JSON.stringify(text))
  }
  t.throws(() => decodeConfig(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), 'ADD'), { code: 6 }, 'no UTF-8')
})

test('names', async t => {
  t.throws(() => decode('{}'), { code: 7, message: /name/ })
  t.throws(() => decode('null'), { code: 7 })
  t.throws(() => decode('{"name":5}'), { code: 6 })
  for (const name of ['-a', '_a', 'a/b', 'a b', '..', 'Ü', 'x'.repeat(256)]) {
    t.throws(() => decode(JSON.stringify({ name })), { code: 7, details: name })
  }
  for (const name of ['a', 'a.b-c_d', 'A..b']) t.equal(decode(JSON.stringify({ name })).name, name)
  t.equal(decode('{"NAME":"a","CNIVERSION":"0.4.0"}').cniVersion, '0.4.0', 'keys match whatever their case')
})

test('versions', async t => {
  t.equal(decode('{"name":"a"}').cniVersion, '0.1.0')
  t.equal(decode('{"name":"a","cniVersion":""}').cniVersion, '0.1.0')
  for (const cniVersion of ['9.9.9', '0.4', 'abc']) {
    t.throws(() => decode(JSON.stringify({ name: 'a', cniVersion })), { code: 1, details: /plugin supports/ })
  }
  t.throws(() => decode('{"name":"a","cniVersion":5}'), { code: 6 })
  t.throws(() => decode('{"name":"a","cniVersion":"0.3.1"}', 'CHECK'), { code: 1 })
  t.throws(() => decode('{"name":"a","cniVersion":"1.0.0"}', 'GC'), { code: 1 })
})

const schema = {
  type: 'object',
  properties: {
    mtu: { type: 'integer', minimum: 0, default: 0 },
    gateway: { type: 'string' },
    ranges: {
      type: 'array',
      items: { type: 'array', items: { type: 'object', properties: { subnet: { type: 'string' } } } },
    },
  },
} as const satisfies Schema

// Stands in for what the build generates: knows one type and one default.
const validate: Validate = data => {
  const found = data as { mtu?: unknown }
  found.mtu ??= 0
  validate.errors = typeof found.mtu === 'number' ? null : [{ instancePath: '/mtu', message: 'must be integer' }]
  return validate.errors === null
}

test('leniency as Go has it', async t => {
  t.same(
    admit(schema, { MTU: 1400, GateWay: '', ranges: [[{ SUBNET: 'x', foo: 1 }]], unknown: 1 }),
    { mtu: 1400, ranges: [[{ subnet: 'x' }]] },
  )
  t.same(admit(schema, { mtu: null, gateway: null }), {})
  t.same(admit(schema, { MTU: 1, mtu: 2 }), { mtu: 2 }, 'the exact spelling wins')
  t.same(admit(schema, { mtu: '' }), { mtu: '' }, 'an empty text is no missing number')
})

test('a wrong key is named with its value; verbs that clean up go on without it', async t => {
  t.throws(() => validated(schema, validate, { mtu: '1400' }), { code: 7, message: 'mtu "1400" must be integer' })
  const warnings: string[] = []
  const rest = salvaged(schema, validate, { MTU: '1400', gateway: 'x' }, text => warnings.push(text))
  t.same(rest, { mtu: 0, gateway: 'x' })
  t.match(warnings, [/mtu "1400"/])
})

test('valid attachments', async t => {
  const entry = { containerID: 'c', ifname: 'eth0' }
  const wanted = { network: 'n', containerId: 'c', ifName: 'eth0' }
  t.equal(readValidAttachments({}, 'n'), undefined, 'nobody said anything')
  t.same(readValidAttachments({ 'cni.dev/valid-attachments': null }, 'n'), [])
  t.same(readValidAttachments({ 'cni.dev/attachments': [entry] }, 'n'), [wanted])
  const both = { 'cni.dev/valid-attachments': [], 'cni.dev/attachments': [entry] }
  t.same(readValidAttachments(both, 'n'), [wanted], 'the union of both keys')
  for (const list of ['x', [{ containerID: 'c' }], [5]]) {
    t.throws(() => readValidAttachments({ 'cni.dev/valid-attachments': list }, 'n'), { code: 7 })
  }
})
