import { test } from 'tap'
import { readList } from './network-list.ts'

const read = (value: unknown) => readList(Buffer.from(JSON.stringify(value)), 'x.conflist', () => [])
const one = [{ type: 'bridge' }]

test('booleans may be strings', async t => {
  const list = read({ name: 'n', disableCheck: 'TRUE', disableGC: true, loadOnlyInlinedPlugins: 'false', plugins: one })
  t.equal(list.disableCheck, true)
  t.equal(list.disableGc, true)
  const message = 'x.conflist: disableCheck "yes" is no boolean'
  t.throws(() => read({ name: 'n', disableCheck: 'yes', plugins: one }), { message })
  t.throws(() => read({ name: 'n', disableGC: 1, plugins: one }), { message: /disableGC 1/ })
})

test('the highest version that is not above ours is spoken', async t => {
  const version = (keys: object): string => read({ name: 'n', plugins: one, ...keys }).cniVersion
  t.equal(version({}), '')
  t.equal(version({ cniVersion: '9.9.9' }), '9.9.9', 'a lone cniVersion is for the plugins to judge')
  t.equal(version({ cniVersions: ['0.4.0', '1.0.0', '0.3.1'] }), '1.0.0')
  t.equal(version({ cniVersion: '1.1.0', cniVersions: ['0.4.0', '1.0.0'] }), '1.1.0')
  t.equal(version({ cniVersion: '0.3.1', cniVersions: ['1.2.0', '2.0.0', '1.0.0'] }), '1.0.0')
  t.equal(version({ cniVersion: '0.3.1', cniVersions: ['1.2.0'] }), '0.3.1')
  t.equal(version({ cniVersion: '2.0.0', cniVersions: ['1.2.0'] }), '2.0.0')
  t.throws(() => version({ cniVersions: ['one'] }), { message: /"one"/ })
  t.throws(() => version({ cniVersions: '1.0.0' }), { message: /is no list/ })
})

test('what a list must have', async t => {
  t.throws(() => read({ plugins: one }), { message: /no name/ })
  t.throws(() => read({ name: 7, plugins: one }), { message: /name 7 is no string/ })
  t.throws(() => read({ name: 'n' }), { message: /has no plugins/ })
  t.throws(() => read({ name: 'n', plugins: [] }), { message: /plugins is empty/ })
  t.throws(() => read({ name: 'n', plugins: {} }), { message: /is no list/ })
  t.throws(() => read({ name: 'n', plugins: [{ x: 1 }] }), { message: /no type/ })
  t.throws(() => read({ name: 'n', plugins: ['bridge'] }), { message: /is no object/ })
  t.throws(() => read({ name: 'n', loadOnlyInlinedPlugins: true }), { message: /plugins is missing/ })
  t.throws(() => readList(Buffer.from('{'), 'x.conflist', () => []), { message: /x\.conflist is no JSON/ })
})

test('plugins with files of their own come behind the inlined ones', async t => {
  const separate = () => [{ type: 'tuning', capabilities: [], raw: {} }]
  const types = (keys: object) =>
    readList(Buffer.from(JSON.stringify({ name: 'n', ...keys })), 'x', separate).plugins.map(({ type }) => type)
  t.same(types({ plugins: one }), ['bridge', 'tuning'])
  t.same(types({}), ['tuning'])
  t.same(types({ plugins: one, loadOnlyInlinedPlugins: 'true' }), ['bridge'])
})

test('capabilities are those that are wanted', async t => {
  const portmap = { TYPE: 'portmap', Capabilities: { portMappings: true, ips: false } }
  const [plugin] = read({ name: 'n', plugins: [portmap] }).plugins
  t.same([plugin?.type, plugin?.capabilities], ['portmap', ['portMappings']], 'whatever the case of the keys')
  const wrong = { type: 'a', capabilities: { mac: 'yes' } }
  t.throws(() => read({ name: 'n', plugins: [wrong] }), { message: /capabilities\.mac "yes"/ })
})
