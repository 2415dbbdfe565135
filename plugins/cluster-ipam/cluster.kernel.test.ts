// cluster on one machine, without a resident agent: what it says, keeps and frees. Several hosts: system/.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'tap'
import { readRunFile } from '#cni/cluster/run-file.ts'
import { enterPrivateNamespaces } from '#tools/privacy.ts'

const bin = resolve('build/bin')
const skip = existsSync(`${bin}/cluster`) ? false : 'needs make build'
if (!skip) enterPrivateNamespaces()

interface Answer {
  readonly ips?: readonly { readonly address: string; readonly gateway: string }[]
  readonly code?: number
  readonly msg?: string
}

const ranges = [{ subnet: '10.6.0.0/24', rangeStart: '10.6.0.16' }, { subnet: 'fd00:6::/64' }]

void test('one machine', { skip }, async t => {
  const place = mkdtempSync('/dev/shm/fairlead-cluster-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  const agentConfig = `${place}/agent.json`
  writeFileSync(agentConfig, JSON.stringify({
    'store': `${place}/store`, 'state-dir': `${place}/state`, 'leases-dir': `${place}/leases`, 'host-id': 'h1',
  }))
  const dirs = { agent: 'none', agentConfig, runDir: `${place}/run`, dataDir: `${place}/leases` }
  const call = (verb: string, id = 'c1', ipam: object = {}, keys: object = {}, args = ''): Answer => {
    const config = { cniVersion: '1.1.0', name: 'lan', type: 'macvlan', ...keys, ipam: { ...dirs, ranges, ...ipam } }
    const env = {
      CNI_COMMAND: verb, CNI_CONTAINERID: id, CNI_IFNAME: 'eth0', CNI_NETNS: '/nowhere', CNI_PATH: bin, CNI_ARGS: args,
    }
    const { stdout } = spawnSync(`${bin}/cluster`, { input: JSON.stringify(config), env, encoding: 'utf8' })
    return stdout === '' ? {} : JSON.parse(stdout) as Answer
  }
  const given = (answer: Answer): readonly string[] => {
    if (!answer.ips) throw new Error(answer.msg)
    return answer.ips.map(({ address }) => address.split('/')[0]!)
  }
  const recorded = (): readonly string[] =>
    readdirSync(`${place}/leases/lan`).filter(name => /^[\d.]+$|:/.test(name)).sort()

  const claimed = (): unknown => readRunFile(`${place}/run`, 'lan')?.statics
  t.same(call('STATUS'), {})
  t.notOk(existsSync(`${place}/store`), 'asking makes nothing')
  const answer = call('ADD', 'c1', { ROUTES: [{ dst: '0.0.0.0/0' }], dns: { nameservers: ['10.6.0.1'] } })
  t.match(answer, {
    ips: [{ address: /^10\.6\.0\.\d+\/24$/, gateway: '10.6.0.1' }, { address: /\/64$/, gateway: 'fd00:6::1' }],
    routes: [{ dst: '0.0.0.0/0' }], dns: { nameservers: ['10.6.0.1'] },
  })
  t.same(recorded(), given(answer))
  t.same(call('CHECK'), {})
  t.match(call('CHECK', 'c9'), { code: 102 })
  t.match(call('ADD'), { code: 103 }, 'twice')

  await t.test('addresses that are asked for', async t => {
    const ips = (text: string) => ({ runtimeConfig: { ips: [text] }, args: { cni: { ips: ['10.6.0.99'] } } })
    t.equal(given(call('ADD', 'c2', {}, ips('10.6.0.200/24'), 'IP=10.6.0.98'))[0], '10.6.0.200')
    t.match(call('ADD', 'c3', {}, ips('10.6.0.200')), { code: 101, msg: /10\.6\.0\.200 .*c2/ })
    const below = call('ADD', 'c3', {}, {}, 'IP=10.6.0.15')
    t.match(below, { code: 7, msg: /CNI_ARGS IP 10\.6\.0\.15 is not in 10\.6\.0\.16-/ })
    t.match(call('ADD', 'c3', { exclude: ['10.6.0.96/27'] }, {}, 'IP=10.6.0.99'), { code: 7, msg: /is excluded/ })
    const claims = claimed()
    t.match(call('ADD', 'c2', {}, ips('10.6.0.200')), { code: 103 })
    t.match(claimed(), claims, 'what the first ADD was given stays claimed')
    t.same(call('DEL', 'c2'), {})
    t.same(claimed(), [])
    t.equal(given(call('ADD', 'c3', {}, {}, 'IP=10.6.0.200'))[0], '10.6.0.200', 'given back')
    t.same(call('DEL', 'c3'), {})
  })

  await t.test('what cannot be', async t => {
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{ ranges: undefined }, /^ipam\.ranges is missing/],
      [{ ranges: [{ subnet: '10.6.0.0/24' }, ranges[1]] }, /^ipam\.ranges\[0\]\.rangeStart 10\.6\.0\.1: the pool has/],
      [{ exclude: ['10.6.0.0/24'] }, /^ipam\.ranges\[0\] 10\.6\.0\.16-10\.6\.0\.254 has no address to hand out/],
      [{ exclude: ['printer'] }, /^ipam\.exclude\[0\] "printer"/], [{ runDir: 'run' }, /^ipam\.runDir "run" is no abs/],
    ]
    for (const [ipam, msg] of wrong) t.match(call('ADD', 'c4', ipam), { code: 7, msg })
    const sent = { runtimeConfig: { ipRanges: [[{ subnet: '10.9.0.0/24' }]] } }
    t.match(call('ADD', 'c4', {}, sent), { code: 7, msg: /^runtimeConfig\.ipRanges .* are the cluster's/ })
    t.same(recorded(), given(answer), 'nothing is recorded')
  })

  await t.test('a host that the store has not heard of for long', async t => {
    const resident = { agent: 'resident' }
    utimesSync(`${place}/run/lan.json`, 1e9, 1e9)
    t.match(call('STATUS', 'c5', resident), { code: 50, msg: /the store has not heard of it for 86400 s/ })
    t.match(call('ADD', 'c5', resident), { code: 11, msg: /other hosts may have its addresses/ })
    const again = call('ADD', 'c5')
    t.ok(again.ips, 'until it has asked')
    t.match(call('STATUS', 'c5', resident), { code: 51, msg: /no agent is running/ })
    t.ok(call('ADD', 'c6', resident).ips, 'nobody is needed as long as there are addresses')
  })

  await t.test('nothing but the records is needed to clean up', async t => {
    const left = { 'cni.dev/valid-attachments': [{ containerID: 'c5', ifname: 'eth0' }] }
    const isOwn = readRunFile(`${place}/run`, 'lan')!.blocks.includes('10.6.0.192/28')
    t.ok(call('ADD', 'c7', {}, { runtimeConfig: { ips: [isOwn ? '10.6.0.100' : '10.6.0.200'] } }).ips)
    t.match(claimed(), [{ container: 'c7' }])
    t.same(call('GC', '', {}, left), {})
    t.equal(recorded().length, 2)
    t.same(claimed(), [], 'nor do claims of single addresses stay')
    rmSync(`${place}/run`, { recursive: true })
    t.same(call('DEL', 'c5', { ranges: 'all', agentConfig: '/nowhere' }), {})
    t.same(recorded(), [])
  })

  await t.test('exhaustion', async t => {
    const tiny = { ranges: [{ subnet: '10.7.0.0/30' }] }
    const name = { name: 'tiny' }
    t.same(given(call('ADD', 'c1', tiny, name)), ['10.7.0.2'])
    const full = call('ADD', 'c2', tiny, name)
    t.match(full, { code: 101, msg: /every block of 10\.7\.0\.0\/30 of network tiny has an owner/ })
    t.match(call('STATUS', '', tiny, name), { code: 50, msg: /every block of network tiny has an owner and is full/ })
    t.same(call('DEL', 'c1', tiny, name), {})
    t.same(call('STATUS', '', tiny, name), {})
  })
})
