// From a host's part in a network to a configuration of host-local.
import { test } from 'tap'
import { foreignTo, hostLocalConfig, inNetwork, isOurs, recordedConfig } from './addresses.ts'
import { isUsable, type RunFile } from './run-file.ts'

const basis = {
  network: 'blue', vni: 1, port: 4789, device: 'x', mtu: 1450, internal: false, encryption: 'none', reserved: [],
  statics: [],
} as const
const subnets: RunFile = {
  ...basis, addressing: 'hostSubnet', blocks: ['10.1.2.0/24', 'fd00:1:0:5::/64'],
  ranges: [{ subnet: '10.1.0.0/16', blockLength: 24 }, { subnet: 'fd00:1::/48', blockLength: 64 }],
}
const flat: RunFile = {
  ...basis, addressing: 'flat', blocks: ['10.1.0.64/26', '10.1.255.192/26'], reserved: ['10.1.0.70'],
  ranges: [{ subnet: '10.1.0.0/16', blockLength: 26 }],
}
const asked = (...texts: string[]) => texts.map(text => ({ key: 'ips', text }))

void test('ranges', async t => {
  t.same(hostLocalConfig(subnets, '/d'), {
    type: 'host-local', dataDir: '/d', exclude: [],
    ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:1:0:5::/64' }]],
  })
  const gateway = '10.1.0.1'
  t.same(hostLocalConfig(flat, '/d'), {
    type: 'host-local', dataDir: '/d', exclude: ['10.1.0.70'], ranges: [[
      { subnet: '10.1.0.0/16', rangeStart: '10.1.0.65', rangeEnd: '10.1.0.127', gateway },
      { subnet: '10.1.0.0/16', rangeStart: '10.1.255.193', rangeEnd: '10.1.255.254', gateway },
    ]],
  })
  t.same(hostLocalConfig(flat, '/d', { claimed: ['10.1.9.9'] })['ranges'],
    [[{ subnet: '10.1.0.0/16', rangeStart: '10.1.9.9', rangeEnd: '10.1.9.9', gateway }]])
  t.same(recordedConfig(['10.1.2.3/24'], '/d')['ranges'],
    [[{ subnet: '10.1.2.0/24', rangeStart: '10.1.2.3', rangeEnd: '10.1.2.3' }]])
})

void test('requests', async t => {
  t.same(foreignTo(flat, asked('10.1.0.66/16', '10.1.9.9')), ['10.1.9.9'])
  t.same(foreignTo(subnets, asked('10.1.2.9', 'FD00:1:0:5::9')), [])
  t.throws(() => foreignTo(subnets, asked('10.1.3.9')),
    { code: 7, message: /ips 10\.1\.3\.9 is not in .* of this host/ })
  t.throws(() => foreignTo(flat, asked('10.2.0.1')), { code: 7, message: /is not in 10\.1\.0\.0\/16 of network blue/ })
  t.throws(() => foreignTo(flat, asked('10.1.0.1')), { code: 7, message: /is the gateway/ })
  t.throws(() => foreignTo(flat, asked('x')), { code: 7, message: /is no IP address/ })
})

void test('whose an address is', async t => {
  t.ok(isOurs(flat, '10.1.0.66/16'))
  t.notOk(isOurs(flat, '10.1.0.70/16'), 'another host\'s container has it')
  t.notOk(isOurs(flat, '10.1.9.9/16'))
  t.ok(isOurs({ ...flat, statics: [{ ip: '10.1.9.9', container: 'c', ifname: 'eth0' }] }, '10.1.9.9/16'))
  t.notOk(isOurs({ ...flat, drained: 'removed' }, '10.1.0.66/16'))
  t.notOk(isOurs(undefined, '10.1.0.66/16'))
  t.equal(inNetwork(subnets, '10.1.2.3/24'), '10.1.2.3/16')
  t.equal(inNetwork(subnets, 'fd00:1:0:5::3/64'), 'fd00:1:0:5::3/48')
  t.ok(isUsable(subnets))
  t.notOk(isUsable({ ...subnets, blocks: ['10.1.2.0/24'] }), 'no IPv6')
  t.notOk(isUsable({ ...subnets, drained: 'removed' }))
})
