import { test } from 'tap'
import { StubPlugins } from './stub-plugins.ts'
import { loadNetwork } from './network-directory.ts'

test('where a network is found', async t => {
  using place = new StubPlugins()
  const types = (name: string) => loadNetwork(place.configurations, name).plugins.map(({ type }) => type)
  place.configure('00-single.conf', { name: 'both', type: 'single' })
  place.configure('20-second.conflist', { name: 'twice', plugins: [{ type: 'second' }] })
  place.configure('10-first.conflist', { name: 'twice', plugins: [{ type: 'first' }] })
  place.configure('99-list.conflist', { name: 'both', plugins: [{ type: 'listed' }] })
  place.configure('50.json', { cniVersion: '0.4.0', name: 'json', type: 'fromjson', zone: '<' })
  place.configure('50.yaml', 'not looked at')
  t.same(types('twice'), ['first'], 'the first file counts')
  t.same(types('both'), ['listed'], 'a list before a single plugin')
  const single = loadNetwork(place.configurations, 'json')
  t.equal(single.cniVersion, '0.4.0')
  t.equal(Buffer.from(single.bytes).toString(),
    '{"cniVersion":"0.4.0","name":"json","plugins":' +
    '[{"cniVersion":"0.4.0","name":"json","type":"fromjson","zone":"\\u003c"}]}',
    'as libcni converts it')
  t.throws(() => types('none'), { message: /no network "none"/, details: 'it has twice, twice, both, both, json' })
  t.throws(() => types('../x'), { message: /not allowed/ })
})

test('plugins in a directory called after the network', async t => {
  using place = new StubPlugins()
  place.configure('n.conflist', { name: 'n', plugins: [{ type: 'inlined' }] })
  place.configure('n/20.conf', { type: 'later' })
  place.configure('n/10.conf', { type: 'sooner' })
  place.configure('n/00.json', { type: 'ignored' })
  t.same(loadNetwork(place.configurations, 'n').plugins.map(({ type }) => type), ['inlined', 'sooner', 'later'])
})

test('a broken file on the way is an error that names it', async t => {
  using place = new StubPlugins()
  place.configure('10.conflist', '{')
  place.configure('20.conflist', { name: 'n', plugins: [{ type: 'a' }] })
  t.throws(() => loadNetwork(place.configurations, 'n'), { message: /10\.conflist is no JSON/ })
  t.throws(() => loadNetwork(`${place.configurations}/none`, 'n'), { message: /no network/, details: /does not exist/ })
})
