import { test } from 'tap'
import { invoke } from '#cni/invocation.ts'
import type { Json } from '#cni/json.ts'
import { staticIpam } from './static.ts'

type Keys = Readonly<Record<string, unknown>>

/** Calls through the protocol. The namespace does not exist: nothing may need it. */
const call = (verb: string, config: Keys, args = '', heard: string[] = []): Json | undefined => {
  let result: Json | undefined
  invoke(staticIpam, {
    variables: {
      CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: '/nowhere', CNI_PATH: '/nowhere',
      CNI_ARGS: args,
    },
    stdin: () => Buffer.from(JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: 'bridge', ...config })),
    executable: undefined,
    resident: () => undefined,
    warn: message => heard.push(message),
    deliver: made => { result = made },
  })
  return result
}

const ipam = (keys: Keys): Keys => ({ ipam: { type: 'static', ...keys } })
const one = ipam({ addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }] })
const both = ipam({
  addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'fd00::5/64', gateway: 'fd00::1' }],
})

const ips = (config: Keys, args?: string): unknown[] =>
  (call('ADD', config, args)!['ips'] as { address: string; gateway?: string }[])
    .map(({ address, gateway }) => gateway === undefined ? address : `${address} ${gateway}`)

test('a result', async t => {
  const routes = [
    { dst: '0.0.0.0/0' },
    { dst: 'FD00:0:0::/48', gw: 'FD00::0001', mtu: 1400, advmss: 1360, priority: 0, table: 100, scope: 0, other: 1 },
  ]
  const nameservers = ['192.0.2.1', 'fe80::1%eth0']
  const dns = { nameservers, domain: 'a.example', search: ['b.example'], options: ['rotate'] }
  const config = ipam({
    Addresses: [{ address: 'FD00:0::0005/64', Gateway: 'FD00::0001' }, { address: '10.1.0.5/24', gateway: '' }],
    routes, dns,
  })
  const extended = { dst: 'fd00::/48', mtu: 1400, advmss: 1360, priority: 0, table: 100, scope: 0, gw: 'fd00::1' }
  t.strictSame(call('ADD', config), {
    cniVersion: '1.1.0',
    ips: [{ address: 'fd00::5/64', gateway: 'fd00::1' }, { address: '10.1.0.5/24' }],
    routes: [{ dst: '0.0.0.0/0' }, extended],
    dns,
  })
  t.strictSame(call('ADD', { ...config, cniVersion: '1.0.0' })!['routes'],
    [{ dst: '0.0.0.0/0' }, { dst: 'fd00::/48', gw: 'fd00::1' }])
})

test('every version', async t => {
  const modern = [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'fd00::5/64', gateway: 'fd00::1' }]
  const routes = [{ dst: '::/0' }, { dst: '10.0.0.0/8', gw: '10.1.0.9' }]
  const config = { ipam: { ...both['ipam'] as object, routes } }
  for (const cniVersion of ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    const versioned = cniVersion.startsWith('0.')
    t.same(call('ADD', { ...config, cniVersion }), {
      cniVersion,
      ips: modern.map(ip => versioned ? { ...ip, version: ip.address.includes(':') ? '6' : '4' } : ip),
      routes,
      ...(versioned && { dns: {} }),
    }, cniVersion)
  }
  for (const cniVersion of ['0.1.0', '0.2.0', '']) {
    t.same(JSON.parse(JSON.stringify(call('ADD', { ...config, cniVersion }))), {
      cniVersion: cniVersion || '0.1.0',
      ip4: { ip: '10.1.0.5/24', gateway: '10.1.0.1', routes: [{ dst: '10.0.0.0/8', gw: '10.1.0.9' }] },
      ip6: { ip: 'fd00::5/64', gateway: 'fd00::1', routes: [{ dst: '::/0' }] },
      dns: {},
    })
    const two = ipam({ addresses: [{ address: '10.1.0.5/24' }, { address: '10.2.0.5/24' }] })
    t.throws(() => call('ADD', { ...two, cniVersion }),
      { code: 7, message: /no room for 10\.1\.0\.5\/24, 10\.2\.0\.5\/24/ })
    t.throws(() => call('ADD', { ...one, cniVersion }, 'IP=10.1.0.6/24,10.1.0.7/24'), { code: 7 })
    t.throws(() => call('ADD', { ...ipam({}), cniVersion }), { code: 7, message: /no result without an IP address/ })
  }
})

test('sources: the first that names an address counts alone', async t => {
  const runtimeConfig = { ips: ['10.1.0.7/24', 'FD00::7/64'] }
  const args = { cni: { ips: ['10.1.0.8/24'] } }
  t.same(ips(both), ['10.1.0.5/24 10.1.0.1', 'fd00::5/64 fd00::1'])
  t.same(ips(both, 'IP= 10.1.0.9/24 ,fd00::9/64,'), ['10.1.0.9/24 10.1.0.1', 'fd00::9/64 fd00::1'])
  t.same(ips(both, 'IP=10.1.0.9/24'), ['10.1.0.9/24 10.1.0.1'], 'not added to the configuration')
  t.same(ips({ ...both, args }, 'IP=10.1.0.9/24'), ['10.1.0.8/24 10.1.0.1'])
  t.same(ips({ ...both, args, runtimeConfig }, 'IP=nonsense'), ['10.1.0.7/24 10.1.0.1', 'fd00::7/64 fd00::1'])
  t.same(ips({ ...both, args: { CNI: { IPs: ['10.1.0.8/24'] } } }), ['10.1.0.8/24 10.1.0.1'], 'capital keys')
  t.same(ips({ ...both, args: null, runtimeConfig: { ips: [] } }, 'IP='), ips(both), 'who names none says nothing')
  t.same(ips({ ...both, args: { cni: { ips: [''] }, other: 1 } }, 'IgnoreUnknown=1;K8S_POD_NAME=p'), ips(both))
})

test('gateways', async t => {
  const bare = ipam({ addresses: [{ address: '10.1.0.5/24' }, { address: '10.1.0.6/24', gateway: '10.1.0.1' }] })
  t.same(ips(bare), ['10.1.0.5/24', '10.1.0.6/24 10.1.0.1'], 'one address does not lend its own to another')
  t.same(ips(bare, 'GATEWAY=fd00::1, 10.1.0.2'), ['10.1.0.5/24 10.1.0.2', '10.1.0.6/24 10.1.0.2'])
  t.same(ips(bare, 'GATEWAY=10.1.0.3,10.1.0.2'), ['10.1.0.5/24 10.1.0.2', '10.1.0.6/24 10.1.0.2'], 'the last counts')
  t.same(ips(bare, 'IP=10.1.0.9/24,10.2.0.9/24'), ['10.1.0.9/24 10.1.0.1', '10.2.0.9/24'])

  const gateways = ipam({ gateways: ['10.1.0.1', 'FD00:0::1', '10.2.0.1', '10.2.0.2'] })
  const asked = (...list: string[]): Keys => ({ ...gateways, runtimeConfig: { ips: list } })
  t.same(ips(asked('10.2.0.7/24', 'fd00::7/64', '10.3.0.7/24')),
    ['10.2.0.7/24 10.2.0.1', 'fd00::7/64 fd00::1', '10.3.0.7/24'])
  t.same(ips(asked('10.1.0.1/24')), ['10.1.0.1/24'], 'who is the gateway has none')
  t.same(ips(asked('10.2.0.1/24')), ['10.2.0.1/24 10.2.0.2'], 'or the next')
  t.same(ips(asked('10.1.0.7/32')), ['10.1.0.7/32'], 'not in the subnet')
  t.same(ips(asked('10.1.0.7/24'), 'GATEWAY=10.1.0.3'), ['10.1.0.7/24 10.1.0.3'], 'CNI_ARGS goes before configuration')
  t.same(ips(asked('10.1.0.7/31'), 'GATEWAY=10.1.0.6'), ['10.1.0.7/31 10.1.0.6'])

  const own = ipam({ gateways: ['10.1.0.1'], addresses: [{ address: '10.1.0.5/24', gateway: '10.9.0.1' }] })
  t.same(ips(own), ['10.1.0.5/24 10.9.0.1'], 'an own one may lie elsewhere, and goes before the common ones')
  t.same(ips({ ...own, runtimeConfig: { ips: ['10.1.0.6/24'] } }), ['10.1.0.6/24 10.1.0.1'])
  const heard: string[] = []
  call('ADD', own, 'GATEWAY=10.8.0.1', heard)
  t.match(heard, [/CNI_ARGS GATEWAY 10\.8\.0\.1 is ignored/])
})

test('default routes over several gateways stay as many', async t => {
  const routes = [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: '0.0.0.0/0', gw: '10.1.0.2' }, { dst: '::/0' }]
  t.same(call('ADD', ipam({ addresses: [{ address: '10.1.0.5/24' }], routes }))!['routes'], routes)
})

test('the example of the reference\'s manual', async t => {
  t.same(call('ADD', { cniVersion: '0.4.0', ...ipam({
    addresses: [
      { address: '10.10.0.1/24', gateway: '10.10.0.254' },
      { address: '3ffe:ffff:0:01ff::1/64', gateway: '3ffe:ffff:0::1' },
    ],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '192.168.0.0/16', gw: '10.10.5.1' }, { dst: '3ffe:ffff:0:01ff::1/64' }],
    dns: { nameservers: ['8.8.8.8'], domain: 'example.com', search: ['example.com'] },
  }) }), {
    cniVersion: '0.4.0',
    ips: [
      { version: '4', address: '10.10.0.1/24', gateway: '10.10.0.254' },
      { version: '6', address: '3ffe:ffff:0:1ff::1/64', gateway: '3ffe:ffff::1' },
    ],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '192.168.0.0/16', gw: '10.10.5.1' }, { dst: '3ffe:ffff:0:1ff::/64' }],
    dns: { nameservers: ['8.8.8.8'], domain: 'example.com', search: ['example.com'] },
  })
})

test('nobody names an address: an empty result, and a word on stderr', async t => {
  const heard: string[] = []
  t.same(call('ADD', ipam({ dns: { domain: 'example.com' } }), '', heard),
    { cniVersion: '1.1.0', dns: { domain: 'example.com' } })
  t.match(heard, [/no address/])
})

/** What is refused, by the key and value that the message has to name. */
const wrong: readonly (readonly [Keys, RegExp, string?])[] = [
  [{}, /^ipam is missing/],
  [{ ipam: null }, /^ipam is missing/],
  [ipam({ addresses: 'all' }), /ipam\.addresses "all"/],
  [ipam({ addresses: [{}] }), /ipam\.addresses\[0\]\.address is missing/],
  [ipam({ addresses: [{ address: '10.1.0.5' }] }), /ipam\.addresses\[0\]\.address "10\.1\.0\.5" has no prefix length/],
  [ipam({ addresses: [{ address: '10.1.0.05/24' }] }), /"10\.1\.0\.05\/24" is no address with prefix length/],
  [ipam({ addresses: [{ address: '10.1.0.5/33' }] }), /"10\.1\.0\.5\/33"/],
  [ipam({ addresses: [{ address: '10.1.0.5/24' }, { address: '10.1.0.5/24' }] }),
    /ipam\.addresses\[1\]\.address 10\.1\.0\.5\/24 is there twice/],
  [ipam({ addresses: [{ address: '10.1.0.5/24', gateway: 'x' }] }), /ipam\.addresses\[0\]\.gateway "x"/],
  [ipam({ addresses: [{ address: '10.1.0.5/24', gateway: 'fd00::1' }] }), /gateway fd00::1 is of another family/],
  [ipam({ gateways: ['10.1.0.0/24'] }), /ipam\.gateways\[0\] "10\.1\.0\.0\/24" is no IP address/],
  [ipam({ routes: [{ gw: '10.1.0.1' }] }), /ipam\.routes\[0\]\.dst is missing/],
  [ipam({ routes: [{ dst: 'default' }] }), /ipam\.routes\[0\]\.dst "default"/],
  [ipam({ routes: [{ dst: '10.1.0.5/24' }] }), /ipam\.routes\[0\]\.dst "10\.1\.0\.5\/24" has host bits/],
  [ipam({ routes: [{ dst: '0.0.0.0/0', gw: 'fd00::1' }] }), /ipam\.routes\[0\]\.gw fd00::1 is of another family/],
  [ipam({ routes: [{ dst: '0.0.0.0/0', priority: -1 }] }), /ipam\.routes\[0\]\.priority -1/],
  [ipam({ dns: { nameservers: ['ns.example'] } }), /ipam\.dns\.nameservers\[0\] "ns\.example"/],
  [ipam({ dns: { search: 'example.com' } }), /ipam\.dns\.search "example\.com"/],
  [{ ...one, runtimeConfig: { ips: ['10.1.0.6'] } }, /runtimeConfig\.ips "10\.1\.0\.6" has no prefix length/],
  [{ ...one, args: { cni: { ips: ['x'] } } }, /args\.cni\.ips "x"/],
  [{ ...ipam({ addresses: [{ address: 'x' }] }), runtimeConfig: { ips: ['10.1.0.6/24'] } }, /"x"/],
  [one, /CNI_ARGS IP "10\.1\.0\.6" has no prefix length/, 'IP=10.1.0.6'],
  [one, /CNI_ARGS GATEWAY "x" is no IP address/, 'GATEWAY=x'],
  [one, /CNI_ARGS IP fd00::1\/64 is there twice/, 'IP=fd00::1/64,FD00::1/64'],
]

test('refused', async t => {
  for (const [config, message, args] of wrong) {
    t.throws(() => call('ADD', config, args), { code: 7, message }, String(message))
    if (args === undefined) t.throws(() => call('STATUS', config), { code: 7, message }, `STATUS ${message}`)
    call('DEL', config, args)
    call('GC', { ...config, 'cni.dev/valid-attachments': [] })
  }
  t.throws(() => call('ADD', one, 'ip=10.1.0.6/24'), { code: 4, message: /unknown keys ip/ })
  call('STATUS', ipam({}))
  call('DEL', one, 'nonsense')
  call('DEL', { ...one, prevResult: 'nonsense' })
})

test('CHECK', async t => {
  const prevResult = call('ADD', both) as { ips: Keys[] }
  const check = (found: readonly Keys[], config = both, args?: string): void =>
    void call('CHECK', { ...config, prevResult: { cniVersion: '1.1.0', ips: found } }, args)
  const [four, six] = prevResult.ips as [Keys, Keys]
  check([six, { address: '192.0.2.9/24' }, four])
  check([{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'FD00:0::5/64', gateway: 'FD00::0:1' }])
  check([{ address: '10.1.0.5/24', gateway: '10.1.0.1' }], ipam({ addresses: [{ address: '10.1.0.5/24' }] }))
  check([], ipam({}))
  t.throws(() => check([four]), { code: 102, message: /prevResult lacks fd00::5\/64/ })
  t.throws(() => check([]), { code: 102, message: /prevResult lacks 10\.1\.0\.5\/24/ })
  t.throws(() => check([{ ...four, address: '10.1.0.5/16' }, six]), { code: 102 })
  t.throws(() => check([four, { address: 'fd00::5/64' }]),
    { code: 102, message: /gateway of fd00::5\/64 .* is missing/ })
  t.throws(() => check([{ ...four, gateway: '10.1.0.2' }, six]),
    { code: 102, message: /is 10\.1\.0\.2, expected 10\.1\.0\.1/ })
  check([{ address: '10.1.0.9/24', gateway: '10.1.0.1' }], both, 'IP=10.1.0.9/24')
  t.throws(() => check([four, six], both, 'IP=10.1.0.9/24'), { code: 102, message: /10\.1\.0\.9/ })
  t.throws(() => call('CHECK', both), { code: 7, message: /prevResult is missing/ })
})
