// In place of the Go plugin: the same answers to the same calls, but for what README.md lists.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'tap'

const reference = '/usr/lib/cni/static'
const built = resolve('build/bin/static')
const missing = [reference, built].find(path => !existsSync(path))
const skip = missing === undefined ? false : `${missing} is missing (Debian: containernetworking-plugins; make build)`

interface Answer { readonly status: number | null; readonly stdout: string }

const call = (command: string, verb: string, config: object, args = ''): Answer => {
  const { status, stdout } = spawnSync(command, {
    input: JSON.stringify({ name: 'net', type: 'bridge', ...config }), encoding: 'utf8',
    env: {
      CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: '/nowhere', CNI_PATH: '/nowhere',
      CNI_ARGS: args,
    },
  })
  return { status, stdout }
}

/** The reference prints an empty dns also where the specification has none. */
const answered = ({ stdout }: Answer): object => {
  const { dns, ...rest } = JSON.parse(stdout)
  return Object.keys(dns ?? {}).length > 0 ? { dns, ...rest } : rest
}

const address4 = { address: '10.1.0.5/24', gateway: '10.1.0.1' }
const address6 = { address: 'FD00::05/64', gateway: 'fd00::1' }
const routes = [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.1.0.9' }, { dst: '::/0', gw: 'fd00::2' }]
const twoGateways = [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: '0.0.0.0/0', gw: '10.1.0.2' }]
const dns = { nameservers: ['192.0.2.1'], domain: 'a.example', search: ['a.example', 'b.example'], options: ['rotate'] }
const ipam = (keys: object): object => ({ ipam: { type: 'static', ...keys } })

const calls: Readonly<Record<string, readonly [config: object, args?: string]>> = {
  'one address': [ipam({ addresses: [address4] })],
  'two families': [ipam({ addresses: [address6, address4], routes, dns })],
  'no gateway': [ipam({ addresses: [{ address: '10.1.0.5/32' }] })],
  'a gateway elsewhere': [ipam({ addresses: [{ address: '10.1.0.5/32', gateway: '192.0.2.1' }] })],
  'default routes over two gateways': [ipam({ addresses: [address4], routes: twoGateways })],
  'no address': [ipam({ dns })],
  'CNI_ARGS': [ipam({}), 'IP=10.1.0.7/24,fd00::7/64;GATEWAY=fd00::1,10.1.0.1;IgnoreUnknown=1;K8S_POD_NAME=p'],
  'a GATEWAY that lies elsewhere': [ipam({}), 'IP=10.1.0.7/24;GATEWAY=10.2.0.1'],
  'two GATEWAYs in one subnet': [ipam({}), 'IP=10.1.0.7/24;GATEWAY=10.1.0.1,10.1.0.2'],
  'args': [{ ...ipam({}), args: { cni: { ips: ['10.1.0.8/24', 'fd00::8/64'] } } }, 'IP=10.1.0.7/24'],
  'runtimeConfig': [{ ...ipam({}), runtimeConfig: { ips: ['10.1.0.9/24'] }, args: { cni: { ips: ['10.1.0.8/24'] } } }],
  'runtimeConfig instead of another subnet\'s address':
    [{ ...ipam({ addresses: [address4], routes }), runtimeConfig: { ips: ['10.2.0.9/24', 'fd01::9/64'] } }],
}

test('the same results', { skip }, async t => {
  for (const [title, [config, args]] of Object.entries(calls)) {
    for (const cniVersion of ['0.2.0', '0.3.1', '0.4.0', '1.0.0']) {
      if (cniVersion === '0.2.0' && title === 'no address') continue // below
      const versioned = { cniVersion, ...config }
      const [ours, theirs] = [built, reference].map(command => call(command, 'ADD', versioned, args))
      t.equal(theirs!.status, 0, title)
      t.same(answered(ours!), answered(theirs!), `${title}, ${cniVersion}`)
      t.equal(call(built, 'DEL', versioned, args).status, 0)
      if (cniVersion < '0.4.0') continue
      for (const [made, command] of [[ours, reference], [theirs, built]] as const) {
        const prevResult = JSON.parse(made!.stdout)
        t.same(call(command, 'CHECK', { ...versioned, prevResult }, args), { status: 0, stdout: '' }, `${title}, CHECK`)
      }
    }
  }
})

test('refused by both', { skip }, async t => {
  const wrong: readonly (readonly [config: object, args?: string])[] = [
    [{}],
    [{ ...ipam({}), cniVersion: '0.2.0' }],
    [ipam({ addresses: [{ address: '10.1.0.5' }] })],
    [ipam({ addresses: [{ gateway: '10.1.0.1' }] })],
    [ipam({ addresses: [{ address: '10.1.0.5/24', gateway: 'x' }] })],
    [ipam({ addresses: [address4], routes: [{ dst: 'x' }] })],
    [ipam({ addresses: [address4], dns: { search: 'x' } })],
    [{ ...ipam({}), runtimeConfig: { ips: ['10.1.0.5'] } }],
    [{ ...ipam({}), args: { cni: { ips: ['10.1.0.5'] } } }],
    [ipam({}), 'IP=10.1.0.5'],
    [ipam({}), 'GATEWAY=x'],
    [ipam({}), 'FOO=1'],
    [{ ...ipam({ addresses: [address4, { address: '10.2.0.5/24' }] }), cniVersion: '0.2.0' }],
  ]
  for (const [config, args] of wrong) {
    for (const command of [built, reference]) {
      const { status } = call(command, 'ADD', { cniVersion: '1.0.0', ...config }, args)
      t.equal(status, 1, `${command} ${JSON.stringify(config)} ${args}`)
    }
  }
})

test('what README.md says of the reference', { skip }, async t => {
  const config = { cniVersion: '1.0.0', ...ipam({ addresses: [address4] }) }
  const addresses = (command: string): unknown =>
    (answered(call(command, 'ADD', config, 'IP=10.1.0.7/24')) as { ips: { address: string }[] }).ips
      .map(({ address, ...rest }) => ({ address, ...rest }))
  t.same(addresses(reference), [address4, { address: '10.1.0.7/24' }])
  t.same(addresses(built), [{ address: '10.1.0.7/24', gateway: '10.1.0.1' }])
  const checked = { ...config, prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.1.0.6/24' }] } }
  t.equal(call(reference, 'CHECK', checked).status, 0)
  t.equal(call(built, 'CHECK', checked).status, 1)
})
