import { test } from 'tap'
import { request, retyped } from './libcni.ts'

const list = { cniVersion: '1.0.0', name: 'net', plugins: [] }

test('a request has sorted keys, the version and name of the list, and keeps capabilities', async t => {
  const plugin = { type: 'portmap', cniVersion: '0.4.0', capabilities: { portMappings: true, mac: false } }
  t.equal(request(list, plugin, undefined, { portMappings: [{ HostPort: 80 }], mac: 'x', ips: [] }),
    '{"capabilities":{"mac":false,"portMappings":true},"cniVersion":"1.0.0","name":"net",' +
    '"runtimeConfig":{"portMappings":[{"HostPort":80}]},"type":"portmap"}')
  t.equal(request(list, { type: 'x' }), '{"cniVersion":"1.0.0","name":"net","type":"x"}')
})

test('a result loses what the types of libcni do not know', async t => {
  t.same(retyped({ interfaces: [{ name: 'eth0', foo: 1, sandbox: '' }], routes: [], bar: 2 }, '1.0.0'),
    { cniVersion: '1.0.0', interfaces: [{ name: 'eth0' }], dns: {} })
})
