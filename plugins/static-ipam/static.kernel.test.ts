// What static hands out, on the interface of a container behind a bridge: seen with ip and with packets.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'tap'
import type { Namespace } from '#net/namespace.ts'
import { anotherNamespace, lacks, observe, output, ownNamespace, pings } from '#tools/kernel.ts'

const bin = resolve('build/bin')
const skip = lacks('ip') || lacks('ping') || (existsSync(`${bin}/static`) ? false : 'needs make build')

const call = (verb: string, pod: Namespace | undefined, id: string, config: object) => {
  const { status, stdout } = spawnSync(`${bin}/bridge`, {
    input: JSON.stringify({
      cniVersion: '1.1.0', name: 'net', type: 'bridge', bridge: 'br0', isGateway: true, ...config,
    }),
    env: {
      CNI_COMMAND: verb, CNI_CONTAINERID: id, CNI_IFNAME: 'eth0', CNI_NETNS: pod?.path ?? '', CNI_PATH: bin,
      PATH: process.env['PATH'],
    },
    encoding: 'utf8',
  })
  return { status, answer: stdout === '' ? undefined : JSON.parse(stdout) }
}

const ipam = (number: number, routes: readonly object[] = []): object => ({ ipam: {
  type: 'static', routes,
  addresses: [
    { address: `10.1.2.${number}/24`, gateway: '10.1.2.1' }, { address: `fd00:1::${number}/64`, gateway: 'fd00:1::1' },
  ],
} })

interface Route { readonly dst: string; readonly gateway?: string; readonly metric?: number }

test('static behind a bridge', { skip }, async t => {
  ownNamespace(t)
  const [one, two] = [anotherNamespace(t), anotherNamespace(t)]
  const routes = [
    { dst: '0.0.0.0/0', gw: '10.1.2.1' }, { dst: '0.0.0.0/0', gw: '10.1.2.9' }, { dst: '::/0' },
    { dst: '10.9.0.0/16', mtu: 1400, advmss: 1360, priority: 50, table: 100 },
    { dst: '3ffe:ffff:0:01ff::1/64', priority: 7 },
  ]
  const first = call('ADD', one, 'c1', ipam(5, routes))
  const second = call('ADD', two, 'c2', ipam(6))

  t.test('the addresses and routes of the configuration', async t => {
    t.equal(first.status, 0)
    t.equal(second.status, 0)
    for (const address of ['10.1.2.6', 'fd00:1::6', '10.1.2.1', 'fd00:1::1']) t.ok(pings(one, address), address)
    const found = observe(one, 'ip', '-j', 'route', 'show', 'default') as Route[]
    t.same(found.map(({ gateway }) => gateway).sort(), ['10.1.2.1', '10.1.2.9'], 'both default routes')
    t.match(observe(one, 'ip', '-j', 'route', 'show', 'table', '100'),
      [{ dst: '10.9.0.0/16', gateway: '10.1.2.1', metric: 50, metrics: [{ mtu: 1400, advmss: 1360 }] }])
    const six = observe(one, 'ip', '-6', '-j', 'route') as Route[]
    t.match(six.filter(({ dst }) => dst === 'default' || dst.startsWith('3ffe')).sort((a, b) => a.dst < b.dst ? -1 : 1),
      [{ dst: '3ffe:ffff:0:1ff::/64', gateway: 'fd00:1::1', metric: 7 }, { dst: 'default', gateway: 'fd00:1::1' }])
  })

  t.test('CHECK misses an address on the interface, and one in the result', async t => {
    const prevResult = first.answer
    t.equal(call('CHECK', one, 'c1', { ...ipam(5, routes), prevResult }).status, 0)
    const changed = call('CHECK', one, 'c1', { ...ipam(7, routes), prevResult })
    t.match(changed, { status: 1, answer: { code: 102, msg: /prevResult lacks 10\.1\.2\.7\/24/ } })
    output(one, 'ip', ['address', 'del', 'fd00:1::5/64', 'dev', 'eth0'])
    const removed = call('CHECK', one, 'c1', { ...ipam(5, routes), prevResult })
    t.match(removed, { status: 1, answer: { code: 102, msg: /eth0 has lost fd00:1::5\/64/ } })
  })

  t.test('refused before the link is made', async t => {
    const three = anotherNamespace(t)
    const refused = call('ADD', three, 'c3', ipam(8, [{ dst: 'default' }]))
    t.match(refused, { status: 1, answer: { code: 7, msg: /ipam\.routes\[0\]\.dst "default"/ } })
    t.equal(three.link.find('eth0'), undefined)
  })

  t.test('DEL under a configuration that has become wrong, and without a namespace', async t => {
    t.equal(call('DEL', one, 'c1', { ipam: { type: 'static', addresses: 'all' } }).status, 0)
    t.equal(call('DEL', undefined, 'c2', ipam(6)).status, 0)
    t.equal(one.link.find('eth0'), undefined)
    t.equal(two.link.find('eth0'), undefined)
  })
})

test('the runtime asks for an address: it comes with the gateway of its subnet', { skip }, async t => {
  ownNamespace(t)
  const pod = anotherNamespace(t)
  const config = { ...ipam(5, [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]), runtimeConfig: { ips: ['10.1.2.7/24'] } }
  const { status, answer } = call('ADD', pod, 'c1', config)
  t.equal(status, 0)
  t.match(answer.ips, [{ address: '10.1.2.7/24', gateway: '10.1.2.1' }])
  t.match(observe(pod, 'ip', '-j', 'route', 'show', 'default'), [{ gateway: '10.1.2.1' }])
  t.ok(pings(pod, '10.1.2.1'))
  t.equal(call('CHECK', pod, 'c1', { ...config, prevResult: answer }).status, 0)
  t.equal(call('DEL', pod, 'c1', config).status, 0)
})
