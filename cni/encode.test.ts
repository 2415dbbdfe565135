// Expected shapes: sections "Result" of SPEC.md at the tags spec-v0.1.0 to spec-v1.1.0.
import { test } from 'tap'
import { encodeResult, requireExpressible } from './encode.ts'
import { append, readPrevious, readResult, type Result } from './result.ts'

const full: Result = {
  interfaces: [{ name: 'br0', mac: '02:00:00:00:00:01', mtu: 1400 }, { name: 'eth0', sandbox: '/n', mtu: 1400 }],
  ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 1 }, { address: 'fd00::2/64', interface: 1 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1', table: 0, mtu: 1300 }, { dst: '::/0' }],
  dns: {},
}

test('1.1.0 has everything, zero included', async t => {
  t.same(encodeResult(full, '1.1.0'), {
    cniVersion: '1.1.0', interfaces: full.interfaces, ips: full.ips, routes: full.routes,
  })
})

test('1.0.0 lacks what 1.1.0 brought', async t => {
  t.same(JSON.parse(JSON.stringify(encodeResult(full, '1.0.0'))), {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'br0', mac: '02:00:00:00:00:01' }, { name: 'eth0', sandbox: '/n' }],
    ips: full.ips,
    routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }, { dst: '::/0' }],
  })
})

test('0.3.0 to 0.4.0 tell the family of an address, and always have dns', async t => {
  for (const version of ['0.3.0', '0.3.1', '0.4.0']) {
    t.match(encodeResult(full, version), { cniVersion: version, ips: [{ version: '4' }, { version: '6' }], dns: {} })
  }
})

test('0.1.0 and 0.2.0 have a place per family', async t => {
  t.same(JSON.parse(JSON.stringify(encodeResult(full, '0.2.0'))), {
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }] },
    ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0' }] },
    dns: {},
  })
  t.throws(() => requireExpressible('0.2.0', 'none'), { code: 7 })
  t.throws(() => requireExpressible('0.1.0', [{ address: '10.0.0.1/8' }, { address: '10.0.0.2/8' }]), { code: 7 })
  requireExpressible('0.2.0', full.ips)
  requireExpressible('0.3.0', 'none')
})

test('every version is read back', async t => {
  for (const version of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    const back = readResult(JSON.parse(JSON.stringify(encodeResult(full, version))), 'unused')
    t.same(back.ips.map(ip => ip.address), ['10.0.0.2/24', 'fd00::2/64'], version)
    t.same(back.routes.map(route => route.dst), ['0.0.0.0/0', '::/0'], version)
  }
})

test('Go\'s zero values say nothing, and keys match whatever their case', async t => {
  const ip = { version: '', Address: '10.0.0.2/24', gateway: '', interface: null }
  const read = readResult({ IPs: [ip], routes: null, dns: null }, '1.0.0')
  t.same(read, { interfaces: [], ips: [{ address: '10.0.0.2/24' }], routes: [], dns: {} })
})

test('what we do not know travels on', async t => {
  const sent = { cniVersion: '1.1.0', interfaces: [{ name: 'x', foo: 1 }], routes: [{ dst: '::/0', gws: ['a'] }], y: 2 }
  t.same(encodeResult(readResult(sent, '1.1.0'), '1.1.0'), sent)
})

test('wrong shapes and versions are errors', async t => {
  t.throws(() => readResult({ ips: 'x' }, '1.0.0'), { code: 6 })
  t.throws(() => readResult({ cniVersion: '9.9.9' }, '1.0.0'), { code: 1 })
  t.throws(() => readPrevious({ prevResult: 5 }, '1.0.0'), { code: 6 })
  t.equal(readPrevious({ prevResult: null }, '1.0.0'), undefined)
})

test('what a plugin made comes behind what there was', async t => {
  const before: Result = {
    interfaces: [{ name: 'a' }, { name: 'b' }],
    ips: [{ address: '1.1.1.1/32', interface: 0 }],
    routes: [],
    dns: { domain: 'x' },
  }
  const after = append(before, full)
  t.same(after.interfaces.map(({ name }) => name), ['a', 'b', 'br0', 'eth0'])
  t.same(after.ips.map(ip => ip.interface), [0, 3, 3])
  t.same(after.dns, { domain: 'x' })
})
