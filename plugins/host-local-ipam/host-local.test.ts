import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { test, type Test } from 'tap'
import { invoke } from '#cni/invocation.ts'
import type { Json } from '#cni/json.ts'
import { holdersDirectory } from './holders.ts'
import { hostLocal } from './host-local.ts'

type Keys = Readonly<Record<string, unknown>>

/** A host-local of the test's own: calls go through the protocol, records below a temporary directory. */
const world = (t: Test, ipam: Keys, keys: Keys = {}) => {
  const place = mkdtempSync('/tmp/host-local-')
  const dataDir = `${place}/networks`
  const directory = `${dataDir}/net`
  t.teardown(() => {
    const store = statSync(directory, { throwIfNoEntry: false })
    if (store) rmSync(`${holdersDirectory}/${store.dev}-${store.ino}`, { force: true })
    rmSync(place, { recursive: true })
  })
  const call = (verb: string, id = 'c1', more: Keys = {}, variables: Readonly<Record<string,
    string>> = {}): Json | undefined => {
    const config = { cniVersion: '1.1.0', name: 'net', type: 'bridge', ipam: { type: 'host-local', dataDir, ...ipam },
      ...keys, ...more }
    let result: Json | undefined
    invoke(hostLocal, {
      variables: { CNI_COMMAND: verb, CNI_CONTAINERID: id, CNI_IFNAME: 'eth0', CNI_NETNS: '/nowhere',
        CNI_PATH: '/nowhere', ...variables },
      stdin: () => Buffer.from(JSON.stringify(config)),
      executable: undefined,
      resident: () => undefined,
      warn: () => undefined,
      deliver: made => { result = made },
    })
    return result
  }
  const add = (id?: string, more?: Keys, variables?: Readonly<Record<string, string>>): string[] =>
    (call('ADD', id, more, variables)!['ips'] as { address: string }[]).map(({ address }) => address)
  const records = (): string[] =>
    existsSync(directory) ? readdirSync(directory).filter(name => /^[\d.]+$|:/.test(name)).sort() : []
  return { dataDir, directory, call, add, records }
}

const small = { ranges: [[{ subnet: '10.1.0.0/29' }], [{ subnet: 'fd00::/125' }]] }

test('a result', async t => {
  const routes = [{ dst: '0.0.0.0/0' },
    { dst: 'FD00:0::/48', gw: 'fd00::1', mtu: 1400, advmss: 1360, priority: 0, table: 100, scope: 0, other: 1 }]
  const { call, directory } = world(t, { ...small, routes })
  t.strictSame(call('ADD'), {
    cniVersion: '1.1.0',
    ips: [{ address: '10.1.0.2/29', gateway: '10.1.0.1' }, { address: 'fd00::2/125', gateway: 'fd00::1' }],
    routes: [{ dst: '0.0.0.0/0' },
      { dst: 'fd00::/48', gw: 'fd00::1', mtu: 1400, advmss: 1360, priority: 0, table: 100, scope: 0 }],
  })
  t.same(readdirSync(directory).sort(), ['10.1.0.2', 'fd00::2', 'last_reserved_ip.0', 'last_reserved_ip.1', 'lock'])
  t.strictSame(call('ADD', 'c2', { cniVersion: '0.2.0' }), {
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.0.3/29', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0', gw: undefined }] },
    ip6: { ip: 'fd00::3/125', gateway: 'fd00::1', routes: [{ dst: 'fd00::/48', gw: 'fd00::1' }] },
    dns: {},
  })
})

test('dns', async t => {
  const { dataDir, call } = world(t, small)
  const resolvConf = `${dataDir}.conf`
  writeFileSync(resolvConf, 'nameserver 192.0.2.1\nsearch example.org\n')
  t.same(call('ADD', 'c1', { ipam: { ...small, dataDir, resolvConf } })!['dns'],
    { nameservers: ['192.0.2.1'], search: ['example.org'] })
})

test('round robin, exhaustion, and everything given back', async t => {
  const { add, call, records } = world(t, small)
  t.same(add('c1'), ['10.1.0.2/29', 'fd00::2/125'])
  call('DEL', 'c1')
  t.same(add('c2'), ['10.1.0.3/29', 'fd00::3/125'], 'not the one that was just given back')
  for (const id of ['c3', 'c4', 'c5']) add(id)
  t.same(add('c6'), ['10.1.0.2/29', 'fd00::7/125'])
  const full = records()
  t.throws(() => add('c7'),
    { code: 101, message: /ipam\.ranges\[0\] 10\.1\.0\.1-10\.1\.0\.6 of network net has no free address/ })
  t.same(records(), full)
  call('DEL', 'c4')
  t.same(add('c7'), ['10.1.0.5/29', 'fd00::2/125'])
})

test('the second range set has none: the first address is given back', async t => {
  const { add, records } = world(t, { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.2.0.0/30' }]] })
  add('c1')
  t.throws(() => add('c2'), { code: 101, message: /10\.2\.0\.1-10\.2\.0\.2/ })
  t.same(records(), ['10.1.0.2', '10.2.0.2'])
})

test('an attachment gets addresses once', async t => {
  const { add, call, records } = world(t, small)
  add('c1')
  t.throws(() => add('c1'), { code: 103, message: /^c1\/eth0 has 10\.1\.0\.2, fd00::2 of network net already/ })
  t.throws(() => add('c1', { runtimeConfig: { ips: ['10.1.0.5'] } }), { code: 103 }, 'also when it asks for others')
  t.same(add('c1', {}, { CNI_IFNAME: 'eth1' }), ['10.1.0.3/29', 'fd00::3/125'], 'another interface of the container')
  call('DEL', 'c1')
  t.same(records(), ['10.1.0.3', 'fd00::3'])
})

test('a requested address', async t => {
  const { add, call, records } = world(t, small)
  t.same(add('c1', {}, { CNI_ARGS: 'IgnoreUnknown=1;IP=10.1.0.5;K8S_POD_NAME=p' }), ['10.1.0.5/29', 'fd00::2/125'])
  t.same(add('c2', { runtimeConfig: { ips: ['10.1.0.3', 'fd00::5/125'] } }, { CNI_ARGS: 'IP=10.1.0.4' }),
    ['10.1.0.3/29', 'fd00::5/125'])
  const found = records()
  t.throws(() => add('c3', {}, { CNI_ARGS: 'IP=10.1.0.5' }),
    { code: 101, message: /requested address 10\.1\.0\.5 is taken by c1/ })
  t.throws(() => add('c3', { args: { cni: { ips: ['10.1.0.6', 'fd00::5'] } } }),
    { code: 101, message: /fd00::5 is taken by c2/ })
  t.throws(() => add('c3', {}, { CNI_ARGS: 'IP=10.1.0.1' }), { code: 7, message: /gateway/ })
  t.throws(() => add('c3', {}, { CNI_ARGS: 'ip=10.1.0.6' }), { code: 4, message: /unknown keys ip/ })
  t.same(records(), found)
  call('DEL', 'c1', {}, { CNI_ARGS: 'nonsense' })
  t.same(records(), ['10.1.0.3', 'fd00::5'])
})

test('refused before anything is touched', async t => {
  for (const wrong of [{}, { subnet: '10.1.0.1/24' }, { subnet: 7 }, { ...small, routes: [{ dst: 'default' }] },
    { ...small, resolvConf: '/nowhere' },
    { ...small, routes: [{ dst: '::/0', gw: 'x' }] }, { ranges: 'x' }, { ...small, exclude: ['10.1.0.0/29'] }]) {
    const { dataDir, call } = world(t, wrong)
    t.throws(() => call('ADD'), { code: 7 }, JSON.stringify(wrong))
    t.notOk(existsSync(dataDir))
  }
})

test('nobody took the result: the addresses are given back', async t => {
  const { dataDir, records } = world(t, small)
  const stdin = Buffer.from(JSON.stringify({ cniVersion: '1.0.0', name: 'net',
    ipam: { type: 'host-local', dataDir, ...small } }))
  t.throws(() => invoke(hostLocal, {
    variables: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: '/x' },
    stdin: () => stdin, executable: undefined, resident: () => undefined, warn: () => undefined,
    deliver: () => { throw new Error('broken pipe') },
  }), /broken pipe/)
  t.same(records(), [])
})

test('DEL', async t => {
  const { dataDir, add, call, records } = world(t, small)
  call('DEL')
  t.notOk(existsSync(dataDir), 'creates nothing')
  add('c1')
  add('c2')
  call('DEL', 'c9')
  call('DEL', 'c1', { ipam: { dataDir, ranges: 7, subnet: '10.1.0.1/24' } })
  t.same(records(), ['10.1.0.3', 'fd00::3'], 'under a configuration that has become wrong')
  call('DEL', 'c2', { ipam: { DATADIR: dataDir, type: 7 }, prevResult: 'x' }, { CNI_NETNS: '' })
  t.same(records(), [])
  call('DEL', 'c2')
})

test('CHECK', async t => {
  const { directory, call } = world(t, small)
  t.throws(() => call('CHECK'), { code: 102, message: /^c1\/eth0 has no address of ipam\.ranges\[0\]/ })
  t.notOk(existsSync(directory), 'creates nothing')
  const prevResult = call('ADD')
  call('CHECK', 'c1', { prevResult })
  call('CHECK')
  t.throws(() => call('CHECK', 'c2', { prevResult }), { code: 102 })
  t.throws(() => call('CHECK', 'c1', { prevResult: { cniVersion: '1.1.0', ips: [{ address: '10.1.0.4/29' }] } }),
    { code: 102, message: /10\.1\.0\.4 of the result/ })
  call('CHECK', 'c1', { prevResult: { cniVersion: '1.1.0', ips: [{ address: '192.0.2.1/24' }] } })
  writeFileSync(`${directory}/fd00::2`, 'c2\r\neth0')
  t.throws(() => call('CHECK', 'c1', { prevResult }),
    { code: 102, message: /ipam\.ranges\[1\] fd00::1-fd00::7 recorded/ })
})

test('STATUS', async t => {
  const { dataDir, add, call } = world(t, { ranges: [[{ subnet: '10.1.0.0/30' }], [{ subnet: 'fd00::/64' }]] })
  call('STATUS')
  t.notOk(existsSync(dataDir), 'creates nothing')
  add('c1')
  t.throws(() => call('STATUS'),
    { code: 50, message: /ipam\.ranges\[0\] 10\.1\.0\.1-10\.1\.0\.2 of network net has no free address/ })
  call('DEL', 'c1')
  call('STATUS')
  t.throws(() => call('STATUS', '', { ipam: { dataDir } }), { code: 7, message: /ipam\.ranges is missing/ })
  call('STATUS', '', { ipam: { dataDir }, capabilities: { ipRanges: true } })
})

/** A directory on a file system that is mounted read-only, if this machine has one. */
const readOnly = readFileSync('/proc/mounts', 'utf8').split('\n').map(line => line.split(' '))
  .find(([, path, , options]) => options?.split(',').includes('ro') && statSync(path!,
    { throwIfNoEntry: false })?.isDirectory())?.[1]

test('STATUS where nothing can be written', { skip: readOnly ? false : 'nothing is mounted read-only here' },
  async t => {
  const { call } = world(t, { ...small, dataDir: `${readOnly}/networks` })
  t.throws(() => call('STATUS'), { code: 50, message: `ipam.dataDir: ${readOnly} is not writable` })
})

test('STATUS counts what could be handed out', async t => {
  const { directory, call } = world(t, { ranges: [[{ subnet: '10.1.0.0/29' }]], exclude: ['10.1.0.4/30'] })
  mkdirSync(directory, { recursive: true })
  for (const name of ['10.1.0.1', '10.1.0.4', '10.9.9.9', 'fd00::1', '10.1.0.2']) writeFileSync(`${directory}/${name}`,
    'x')
  call('STATUS')
  writeFileSync(`${directory}/10.1.0.3`, 'x')
  t.throws(() => call('STATUS'), { code: 50 })
})

test('GC', async t => {
  const { dataDir, directory, add, call, records } = world(t, small)
  const gc = (valid: unknown): void => void call('GC', '', { 'cni.dev/valid-attachments': valid })
  gc([])
  t.notOk(existsSync(dataDir), 'creates nothing')
  for (const id of ['c1', 'c2', 'c3']) add(id)
  writeFileSync(`${directory}/10.1.0.6`, 'old')
  t.throws(() => gc([{ containerID: 'c1' }]), { code: 7 })
  t.equal(records().length, 7)
  gc([{ containerID: 'c1', ifname: 'eth0' }, { containerID: 'c2', ifname: 'eth1' },
    { containerID: 'old', ifname: 'net1' }])
  t.same(records(), ['10.1.0.2', '10.1.0.6', 'fd00::2'])
  gc(null)
  t.same(readdirSync(directory).sort(), ['last_reserved_ip.0', 'last_reserved_ip.1', 'lock'])
  t.same(add('c4'), ['10.1.0.5/29', 'fd00::5/125'], 'the order goes on')
  call('GC', '')
  t.same(records(), ['10.1.0.5', 'fd00::5'], 'nobody said what is valid')
})

test('a failure on the way leaves nothing', async t => {
  const { directory, add, records } = world(t, small)
  mkdirSync(`${directory}/last_reserved_ip.1`, { recursive: true })
  t.throws(() => add(), { code: 'EISDIR' })
  t.same(records(), [])
})
