// The verbs over stubs. A chain of three, `one` to `three`, unless a test says otherwise.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import type { Json } from '#cni/json.ts'
import { Cache } from './cache.ts'
import { Chain } from './chain.ts'
import { loadNetwork } from './network-directory.ts'
import type { Target } from './request.ts'
import { answering, decoded, failing, StubPlugins, within } from './stub-plugins.ts'

const target: Target = {
  network: 'n', containerId: 'c', ifName: 'eth0', netns: '/no/ns', args: [['A', 'b']], capabilityArgs: { mac: 'x' },
}
const address = (last: number): Json => ({ cniVersion: '1.0.0', ips: [{ address: `10.0.0.${last}/24` }] })

class Stage extends StubPlugins {
  readonly cache = new Cache(this.state)
  readonly warnings: string[] = []
  readonly forwarded: string[] = []
  isTaken = false

  constructor(keys: Json = { cniVersion: '1.0.0' }) {
    super()
    this.plugin('one', answering(address(1)))
    this.plugin('two', answering(address(2)))
    this.plugin('three', answering(address(3)))
    const plugins = [{ type: 'one', capabilities: { mac: true } }, { type: 'two', own: 1 }, { type: 'three' }]
    this.configure('n.conflist', { name: 'n', plugins, ...keys })
  }

  get chain(): Chain {
    return new Chain(loadNetwork(this.configurations, 'n'), {
      variables: { PATH: process.env['PATH'], HOME: '/root' }, path: [this.bin], cache: this.cache,
      isTaken: () => this.isTaken,
      forward: text => { this.forwarded.push(text) },
      warn: text => { this.warnings.push(text) },
    })
  }

  /** A key of each request so far. */
  sent(key: string): unknown[] { return this.calls().map(call => within(decoded(call), key)) }
}

test('ADD', async t => {
  using stage = new Stage()
  stage.plugin('three', `echo hello >&2; ${answering(address(3))}`)
  t.same(stage.chain.add(target), address(3))
  t.same(stage.order(), ['ADD one', 'ADD two', 'ADD three'])
  t.same(stage.sent('prevResult'), [undefined, address(1), address(2)])
  t.same(stage.sent('runtimeConfig'), [{ mac: 'x' }, undefined, undefined])
  t.same(stage.sent('own'), [undefined, 1, undefined])
  const { PATH: path, ...variables } = stage.calls()[0]!.variables
  t.same(variables, { COMMAND: 'ADD', CONTAINERID: 'c', NETNS: '/no/ns', ARGS: 'A=b', IFNAME: 'eth0' })
  t.equal(path, stage.bin)
  t.same(stage.forwarded, ['hello'])
  t.same(stage.cache.result(target, '1.0.0'), address(3))
})

test('a failed ADD is taken back, all of it', async t => {
  using stage = new Stage()
  stage.plugin('two', failing('ADD', 11, 'not now'))
  stage.plugin('three', failing('DEL', 7, 'cannot'))
  t.throws(() => stage.chain.add(target), { plugin: 'two', message: 'not now', cause: { code: 11 } })
  t.same(stage.order(), ['ADD one', 'ADD two', 'DEL three', 'DEL two', 'DEL one'], 'past a failing DEL')
  t.same(stage.sent('prevResult').slice(2), [undefined, undefined, undefined])
  t.same(stage.warnings, ['clean-up: three: cannot'])
  t.notOk(existsSync(`${stage.state}/results`))
})

test('a failed ADD takes nothing down that was there before', async t => {
  using stage = new Stage()
  stage.plugin('two', failing('ADD', 100, 'exists'))
  stage.isTaken = true
  t.throws(() => stage.chain.add(target), { message: 'exists' })
  t.same(stage.order(), ['ADD one', 'ADD two'])
  t.match(stage.warnings, [/^DEL was not called: eth0 in \/no\/ns/])
  stage.isTaken = false
  stage.cache.write(target, Buffer.from(''), address(9))
  t.throws(() => stage.chain.add(target), { message: 'exists' })
  t.equal(stage.order().length, 4, 'a record is as good as an interface')
})

test('nothing is called when a plugin is missing or a name is wrong', async t => {
  using stage = new Stage({ cniVersion: '1.0.0', plugins: [{ type: 'one' }, { type: 'absent' }] })
  t.throws(() => stage.chain.add(target), { plugin: 'absent', cause: { code: 105 } })
  t.throws(() => stage.chain.add({ ...target, ifName: '../x' }), { code: 4, message: /CNI_IFNAME/ })
  t.throws(() => stage.chain.del({ ...target, ifName: '../x' }), { code: 4 })
  t.throws(() => stage.chain.check({ ...target, containerId: '../x' }), { code: 4 })
  t.same(stage.order(), [])
})

test('an ADD whose record cannot be written is taken back', async t => {
  using stage = new Stage()
  writeFileSync(stage.state, 'no directory')
  t.throws(() => stage.chain.add(target), { code: 'ENOTDIR' })
  t.same(stage.order().slice(3), ['DEL three', 'DEL two', 'DEL one'])
})

test('a result of another version is passed on as it is', async t => {
  using stage = new Stage()
  stage.plugin('one', answering({ cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.1/24', gateway: '' }] }))
  stage.plugin('two', answering({ ips: [{ address: '10.0.0.2/24' }], extra: 1 }))
  stage.chain.add(target)
  t.same(stage.sent('prevResult').slice(1), [
    { cniVersion: '0.4.0', dns: {}, ips: [{ version: '4', address: '10.0.0.1/24' }] },
    { cniVersion: '1.0.0', extra: 1, ips: [{ address: '10.0.0.2/24' }] },
  ])
})

test('CHECK and DEL', async t => {
  using stage = new Stage()
  stage.cache.write(target, Buffer.from(''), { cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.3/24' }] })
  stage.chain.check(target)
  stage.chain.del(target)
  t.same(stage.order(), ['CHECK one', 'CHECK two', 'CHECK three', 'DEL three', 'DEL two', 'DEL one'])
  t.same(new Set(stage.sent('prevResult').map(value => JSON.stringify(value))).size, 1)
  t.same(stage.sent('prevResult')[0], address(3), 'in the version of the configuration')
  t.same(readdirSync(`${stage.state}/results`), [])
  stage.chain.del(target)
  t.same(stage.sent('prevResult').slice(6), [undefined, undefined, undefined], 'without a record, without prevResult')
})

test('DEL stops at the first error and keeps the record', async t => {
  using stage = new Stage()
  stage.cache.write(target, Buffer.from(''), address(3))
  stage.plugin('two', failing('DEL', 106, 'remains', 'why'))
  t.throws(() => stage.chain.del(target), { plugin: 'two', cause: { code: 106, details: 'why' } })
  t.same(stage.order(), ['DEL three', 'DEL two'])
  t.ok(stage.cache.has(target))
})

test('DEL gets further without a readable record, CHECK does not', async t => {
  using stage = new Stage()
  stage.cache.write(target, Buffer.from(''), address(3))
  writeFileSync(`${stage.state}/results/n-c-eth0`, '{"kind"')
  t.throws(() => stage.chain.check(target), { code: 6 })
  stage.chain.del(target)
  t.same(stage.order(), ['DEL three', 'DEL two', 'DEL one'])
  t.match(stage.warnings, [/^cached result ignored/])
  t.notOk(stage.cache.has(target))
})

test('before 0.4.0 there is no CHECK, and DEL has no prevResult', async t => {
  using stage = new Stage({ cniVersion: '0.3.1' })
  stage.cache.write(target, Buffer.from(''), address(3))
  t.throws(() => stage.chain.check(target), { message: /"0\.3\.1" of network n has no CHECK/ })
  stage.chain.del(target)
  t.same(stage.sent('prevResult'), [undefined, undefined, undefined])
})

test('disableCheck and disableGC', async t => {
  using stage = new Stage({ cniVersion: '1.1.0', disableCheck: true, disableGC: 'true' })
  stage.cache.write(target, Buffer.from(''), address(3))
  stage.chain.check(target)
  stage.chain.gc(true)
  t.same(stage.order(), [])
  t.match(stage.warnings, [/disableCheck/, /disableGC/])
})

test('STATUS', async t => {
  using stage = new Stage({ cniVersion: '1.1.0' })
  stage.plugin('two', failing('STATUS', 50, 'full'))
  t.throws(() => stage.chain.status(), { plugin: 'two', cause: { code: 50 } })
  t.same(stage.order(), ['STATUS one', 'STATUS two'])
  t.same(stage.sent('runtimeConfig'), [undefined, undefined])
  using old = new Stage()
  old.chain.status()
  t.same(old.order(), [])
  t.match(old.warnings, [/"1\.0\.0" of network n has no STATUS/])
})

test('GC deletes what is recorded, and collects every failure', async t => {
  using stage = new Stage({ cniVersion: '1.1.0' })
  stage.cache.write({ ...target, args: [['K', 'v']], capabilityArgs: { mac: 'recorded' } }, Buffer.from(''), address(3))
  stage.cache.write({ ...target, network: 'other' }, Buffer.from(''), address(3))
  stage.plugin('two', failing('GC', 7, 'no'))
  t.throws(() => stage.chain.gc(false), { errors: [{ plugin: 'two' }] })
  t.same(stage.order(), ['DEL three', 'DEL two', 'DEL one', 'GC one', 'GC two', 'GC three'])
  t.equal(stage.calls()[0]!.variables['ARGS'], 'K=v', 'as it was added')
  t.same(stage.sent('runtimeConfig')[2], { mac: 'recorded' })
  t.same(readdirSync(`${stage.state}/results`), ['other-c-eth0'])
  const keys = ['cni.dev/valid-attachments', 'cni.dev/attachments']
  for (const key of keys) t.same(stage.sent(key).slice(3), [undefined, undefined, undefined])
  t.throws(() => stage.chain.gc(true))
  for (const key of keys) t.same(stage.sent(key).slice(6), [[], [], []])
})
