import { test } from 'tap'
import { readArgs } from './args.ts'
import { readEnvironment } from './environment.ts'

const add = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/x', CNI_IFNAME: 'eth0' }

test('every missing variable is named in one error', async t => {
  t.throws(() => readEnvironment({ CNI_COMMAND: 'ADD', CNI_IFNAME: '' }), {
    code: 4, message: 'required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing',
  })
  t.throws(() => readEnvironment({ CNI_COMMAND: 'GC' }), { code: 4, message: /CNI_PATH/ })
  t.match(readEnvironment({ CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0' }), { netns: '' })
  t.match(readEnvironment({ CNI_COMMAND: 'STATUS' }), { verb: 'STATUS' })
})

test('libcni recognises the text of an unknown verb', async t => {
  t.throws(() => readEnvironment({ CNI_COMMAND: 'add' }), { code: 4, message: 'unknown CNI_COMMAND: add' })
})

test('container ids', async t => {
  for (const id of ['a', 'A.b_c-9', 'f'.repeat(64)]) {
    t.equal(readEnvironment({ ...add, CNI_CONTAINERID: id }).containerId, id)
  }
  for (const id of ['-a', '_a', '.a', 'a/b', 'a b', 'a:b', '..', 'a\n', 'é']) {
    t.throws(() => readEnvironment({ ...add, CNI_CONTAINERID: id }), { code: 4, details: id }, JSON.stringify(id))
  }
})

test('interface names are counted in bytes, and white space is Go\'s', async t => {
  for (const name of ['a', 'x'.repeat(15), 'é'.repeat(7), '-x', '$(x)', 'a\ufeffb']) {
    t.equal(readEnvironment({ ...add, CNI_IFNAME: name }).ifName, name)
  }
  const white = ['a b', 'a\tb', 'a\u00a0b', 'a\u0085b']
  for (const name of ['.', '..', 'a/b', 'a:b', ...white, 'x'.repeat(16), 'é'.repeat(8), '%d']) {
    t.throws(() => readEnvironment({ ...add, CNI_IFNAME: name }), { code: 4 }, JSON.stringify(name))
  }
  const cleaning = readEnvironment({ ...add, CNI_COMMAND: 'DEL', CNI_IFNAME: '%d' })
  t.equal(cleaning.ifName, '%d', 'DEL may be asked to clean up after anything')
})

test('empty elements of CNI_PATH do not mean the working directory', async t => {
  t.same(readEnvironment({ ...add, CNI_PATH: ':/opt/cni/bin:' }).path, ['/opt/cni/bin'])
})

test('CNI_NETNS_OVERRIDE', async t => {
  const isOverriding = (value: string): boolean =>
    readEnvironment({ ...add, CNI_NETNS_OVERRIDE: value }).netnsOverride
  for (const value of ['1', 'true', 'TRUE']) t.equal(isOverriding(value), true)
  for (const value of ['', 'yes', '0']) t.equal(isOverriding(value), false)
})

test('CNI_ARGS', async t => {
  t.same([...readArgs('', ['MAC'])], [])
  const args = readArgs('IgnoreUnknown=1;K8S_POD_NAME=x;MAC=a=b;MAC=c;', ['MAC'])
  t.same([...args], [['MAC', 'c']], 'the last of repeated keys, values with =, a closing ;')
  t.same([...readArgs('FOO=;IgnoreUnknown=true', ['MAC'])], [])
  t.same([...readArgs('IP=10.0.0.1;MAC=x', ['MAC'])], [['MAC', 'x']], 'what is meant for another plugin of the chain')
  t.throws(() => readArgs('FOO=1', ['MAC']), { code: 4, message: /FOO/ })
  t.throws(() => readArgs('mac=1', ['MAC']), { code: 4, message: /mac/ }, 'keys are case-sensitive')
  t.throws(() => readArgs('FOO', ['MAC']), { code: 4 })
  t.throws(() => readArgs('IgnoreUnknown=yes', []), { code: 4 })
})
