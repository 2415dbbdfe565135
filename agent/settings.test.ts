// Configuration file and options of the agent.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { overlayOptions } from '../cli/overlay-options.ts'
import { readWishes, settingKeys, settingsOf } from './settings.ts'

void test('what is said, and what is not', async t => {
  const place = mkdtempSync('/tmp/fairlead-settings-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  const file = (content: string): string => {
    writeFileSync(`${place}/agent.json`, content)
    return `${place}/agent.json`
  }
  t.match(settingsOf({ 'host-id': 'h1' }), {
    store: '/var/lib/cni/fairlead/overlay/store', hostId: 'h1', runDirectory: '/run/cni/fairlead/overlay',
    metrics: '127.0.0.1:9477', gracePeriod: 86_400_000, address: undefined, checksumOffload: 'auto',
  })
  writeFileSync(`${place}/ca`, 'CA')
  writeFileSync(`${place}/password`, 'secret\n')
  const wishes = readWishes(file(JSON.stringify({
    'store': 'https://10.0.0.1:2379, https://10.0.0.2:2379', 'store-ca': `${place}/ca`, 'store-user': 'me',
    'store-password-file': `${place}/password`, 'metrics': 'off', 'grace-period': 60, 'host-id': 'h2',
    'checksum-offload': 'off',
  })), true)
  t.match(settingsOf(wishes), {
    store: {
      endpoints: ['https://10.0.0.1:2379', 'https://10.0.0.2:2379'], tls: { ca: 'CA' },
      user: { name: 'me', password: 'secret' },
    },
    metrics: undefined, gracePeriod: 60_000, checksumOffload: 'off', wireguardPort: 51820,
  })
  t.equal(settingsOf({ 'host-id': 'h1', 'wireguard-port': '443' }).wireguardPort, 443)
  for (const port of ['0', '65536', 'x', '-1', ''])
    t.throws(() => settingsOf({ 'host-id': 'h1', 'wireguard-port': port }),
      { obstacle: 'invalid', message: `wireguard-port ${JSON.stringify(port)} is no UDP port` })
  t.same(readWishes(`${place}/none`, false), {})
  const wrong = (content: string, message: RegExp): void => {
    t.throws(() => settingsOf({ 'host-id': 'h1', ...readWishes(file(content), true) }),
      { name: 'OverlayError', message })
  }
  wrong('{', /agent\.json is no JSON/)
  wrong('[]', /is no JSON object/)
  wrong('{"stroe": "x"}', /unknown key "stroe"/)
  wrong('{"store": ["x"]}', /store \["x"\] is no text/)
  wrong('{"store": "10.0.0.1:2379"}', /store "10\.0\.0\.1:2379" is neither a directory nor an endpoint/)
  wrong('{"store": "http://x:1", "store-ca": "/nowhere/ca"}', /store-ca \/nowhere\/ca cannot be read/)
  wrong('{"store": "http://x:1", "store-user": "me"}', /go together/)
  wrong('{"host-id": "a/b"}', /host-id "a\/b" is not letters and digits/)
  wrong('{"metrics": "localhost"}', /metrics localhost has no port/)
  wrong('{"grace-period": "soon"}', /grace-period soon is no number/)
  wrong('{"checksum-offload": "yes"}', /checksum-offload "yes" is not known/)
  t.throws(() => readWishes(`${place}/none`, true), { message: /does not exist/ })
})

void test('the command line knows them all', async t => {
  const { once: _once, config: _config, ...options } = overlayOptions.agent
  t.same(Object.keys(options).sort(), Object.keys(settingKeys).sort())
})
