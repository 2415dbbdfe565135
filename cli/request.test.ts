import { test } from 'tap'
import { attachmentKeys, parseArgs, parseCapabilityArgs, pluginInput, pluginVariables, type Target } from './request.ts'

const target: Target = {
  network: 'n', containerId: 'c', ifName: 'eth0', netns: '/run/netns/a',
  args: [['IgnoreUnknown', '1'], ['A', 'b=c']], capabilityArgs: { mac: 'x', ips: ['y'] },
}

test('CNI_ARGS', async t => {
  t.same(parseArgs(''), [])
  t.same(parseArgs('A=1;B=c=d;E=;'), [['A', '1'], ['B', 'c=d'], ['E', '']])
  t.throws(() => parseArgs('A'), { code: 4, message: /"A"/ })
  t.throws(() => parseArgs('=1'), { code: 4 })
})

test('CAP_ARGS', async t => {
  t.same(parseCapabilityArgs(''), {})
  t.same(parseCapabilityArgs('{"mac":"x"}'), { mac: 'x' })
  t.throws(() => parseCapabilityArgs('[1]'), { code: 6, message: /CAP_ARGS/ })
})

test('the environment', async t => {
  const all = pluginVariables({ HOME: '/root', CNI_IFNAME: 'old' }, 'ADD', ['/a', '/b'], target)
  t.same(all, {
    HOME: '/root', CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_NETNS: '/run/netns/a',
    CNI_ARGS: 'IgnoreUnknown=1;A=b=c', CNI_IFNAME: 'eth0', CNI_PATH: '/a:/b',
  })
  t.same(pluginVariables({}, 'GC', ['/a']), {
    CNI_COMMAND: 'GC', CNI_CONTAINERID: '', CNI_NETNS: '', CNI_ARGS: '', CNI_IFNAME: '', CNI_PATH: '/a',
  })
})

test('stdin: name and version of the list, keys in order', async t => {
  const raw = { type: 'p', name: 'own', cniVersion: '0.1.0', b: '<', a: {} }
  const plugin = { type: 'p', capabilities: ['mac', 'dns'], raw }
  const flags = { disableCheck: false, disableGc: false }
  const list = { name: 'n', cniVersion: '1.0.0', ...flags, plugins: [plugin], bytes: new Uint8Array() }
  t.equal(Buffer.from(pluginInput(list, plugin, attachmentKeys(plugin, target, { cniVersion: '1.0.0' }))).toString(),
    '{"a":{},"b":"\\u003c","cniVersion":"1.0.0","name":"n","prevResult":{"cniVersion":"1.0.0"},' +
    '"runtimeConfig":{"mac":"x"},"type":"p"}')
  t.same(attachmentKeys({ ...plugin, capabilities: [] }, target, undefined), {}, 'nothing asked for, nothing there')
})
