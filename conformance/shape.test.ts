import { test } from 'tap'
import { resultIn, type Result } from './result.ts'
import { mustHaveShape } from './shape.ts'
import { versions } from './versions.ts'

const result: Result = {
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/a', mtu: 1400 }],
  ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 0 }, { address: 'fd00::2/64', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1', mtu: 1300 }, { dst: '::/0' }],
}

test('a result that the judge writes has the shape that it asks for', async t => {
  for (const version of versions)
    t.doesNotThrow(() => mustHaveShape(resultIn(version, result) as Result, version), version)
})

test('0.2.0 has one address of each family and its routes', async t => {
  t.same(resultIn('0.2.0', result), {
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }] },
    ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0' }] },
    dns: {},
  })
})

test('a wrong shape is refused', async t => {
  const wrong: readonly (readonly [string, string, Result])[] = [
    ['another version', '1.0.0', { ips: [] }],
    ['ips in 0.2.0', '0.2.0', { cniVersion: '0.2.0', ips: [{ address: '10.0.0.2/24' }] }],
    ['no address in 0.2.0', '0.2.0', { cniVersion: '0.2.0' }],
    ['an IPv6 route under ip4', '0.2.0', { cniVersion: '0.2.0', ip4: { ip: '1.0.0.2/24', routes: [{ dst: '::/0' }] } }],
    ['no ips.version in 0.4.0', '0.4.0', { cniVersion: '0.4.0', ips: [{ address: '10.0.0.2/24' }] }],
    ['the wrong ips.version', '0.4.0', { cniVersion: '0.4.0', ips: [{ address: '10.0.0.2/24', version: '6' }] }],
    ['ips.version in 1.0.0', '1.0.0', { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24', version: '4' }] }],
    ['an index out of range', '1.0.0', { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24', interface: 0 }] }],
    ['an mtu below 1.1.0', '1.0.0', { cniVersion: '1.0.0', interfaces: [{ name: 'eth0', mtu: 1400 }] }],
    ['a route mtu below 1.1.0', '1.0.0', { cniVersion: '1.0.0', routes: [{ dst: '::/0', mtu: 1400 }] }],
  ]
  for (const [title, version, value] of wrong) t.throws(() => mustHaveShape(value, version), { name: 'Failure' }, title)
})
