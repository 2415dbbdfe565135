import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { Cache } from './cache.ts'
import { StubPlugins } from './stub-plugins.ts'

const target = {
  network: 'n', containerId: 'c', ifName: 'eth0', netns: '/x',
  args: [['A', 'b']] as const, capabilityArgs: { b: 1, a: '<' },
}

test('a record is written as libcni writes it', async t => {
  using place = new StubPlugins()
  const cache = new Cache(place.state)
  cache.write(target, Buffer.from('{}'), { ips: [{ interface: 0, address: '10.0.0.2/8' }], cniVersion: '1.0.0' })
  const path = `${place.state}/results/n-c-eth0`
  t.equal(readFileSync(path, 'utf8'), '{"kind":"cniCacheV1","containerId":"c","config":"e30=","ifName":"eth0",' +
    '"networkName":"n","netns":"/x","cniArgs":[["A","b"]],"capabilityArgs":{"a":"\\u003c","b":1},' +
    '"result":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/8","interface":0}]}}')
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(`${place.state}/results`).mode & 0o777, 0o700)
  t.same(cache.list('n'), [target])
  t.same(cache.list('m'), [])
  t.same(cache.result(target, '0.4.0'), {
    cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.2/8', interface: 0 }], dns: {},
  }, 'read in the version that is asked for')
  cache.delete(target)
  cache.delete(target)
  t.notOk(cache.has(target))
  t.equal(cache.result(target, '1.0.0'), undefined)
})

test('what is empty is left out', async t => {
  using place = new StubPlugins()
  const bare = { ...target, netns: '', args: [], capabilityArgs: {} }
  new Cache(place.state).write(bare, Buffer.from(''), { cniVersion: '1.0.0' })
  t.equal(readFileSync(`${place.state}/results/n-c-eth0`, 'utf8'),
    '{"kind":"cniCacheV1","containerId":"c","config":"","ifName":"eth0","networkName":"n",' +
    '"result":{"cniVersion":"1.0.0"}}')
})

test('records of others', async t => {
  using place = new StubPlugins()
  const cache = new Cache(place.state)
  cache.write(target, Buffer.from('{}'), { cniVersion: '1.0.0' })
  const write = (name: string, text: string): void => writeFileSync(`${place.state}/results/${name}`, text)
  write('n-broken-eth0', '{"kind":')
  write('n-other-eth0', '{"kind":"other","networkName":"n","containerId":"other","ifName":"eth0"}')
  write('n-old-eth0', '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.3/8"}]}')
  t.same(cache.list('n').map(({ containerId }) => containerId), ['c'], 'what is no record is left out')
  t.throws(() => cache.result({ ...target, containerId: 'broken' }, '1.0.0'), { code: 6 })
  const old = cache.result({ ...target, containerId: 'old' }, '1.0.0')
  t.match(old, { ips: [{ address: '10.0.0.3/8' }] }, 'the form before kinds')
})
