// An encrypted overlay on a host whose kernel has no WireGuard: everybody says so, and nothing is touched.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { test } from 'tap'
import { eventually, fairlead, Fleet, type FleetHost } from '../tools/fleet.ts'
import { anotherNamespace, kernelLacks, lacks, output, ownNamespace } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('ip') || lacks('nft') || kernelLacks('vxlan') ||
  kernelLacks('wireguard') === false && 'this kernel has wireguard'
if (!skip) enterPrivateNamespaces()

void test('a kernel without WireGuard', { skip }, async t => {
  const place = mkdtempSync('/dev/shm/fairlead-store-')
  t.teardown(() => { rmSync(place, { recursive: true, force: true }) })
  const store = `${place}/store`
  const fleet = new Fleet(t, ownNamespace(t), 1, { store })
  const [host] = fleet.hosts as [FleetHost]
  fairlead('overlay', 'create', 'secret', '--encryption', 'wireguard', '--subnet', '10.200.0.0/16', '--store', store)
  fairlead('overlay', 'create', 'plain', '--subnet', '10.201.0.0/16', '--store', store)
  await host.start()
  await host.insist({ op: 'join', network: 'plain' })
  const facts = (): string => ['link', 'route', '-6 route'].map(what => output(host.ns, 'ip', what.split(' ')))
    .join('\n') + output(host.ns, 'nft', ['list', 'ruleset'])
  const before = facts()
  const words = /this kernel has no WireGuard, which encrypts network secret/
  t.match(await host.ask({ op: 'join', network: 'secret' }),
    { ok: false, obstacle: 'unsupported', message: words, advice: /modprobe wireguard/ })
  await eventually('it knows of the network', async () =>
    !(await host.ask({ op: 'status', network: 'secret' })).ok)
  t.match(host.call('STATUS', 'secret', '', undefined), { status: 1, result: { code: 50, msg: words } })
  t.match(host.call('STATUS', 'secret', '', undefined, { encryption: 'wireguard' }),
    { status: 1, result: { code: 50, msg: /this kernel has no WireGuard/ } })
  t.equal(host.call('STATUS', 'plain', '', undefined).status, 0)
  t.match(host.call('ADD', 'secret', 'c', anotherNamespace(t)),
    { status: 1, result: { code: 104, msg: words, details: /modprobe wireguard/ } })
  // A network that would come into being with its first container.
  const wish = { ranges: [{ subnet: '10.202.0.0/16' }], encryption: 'wireguard' }
  t.match(host.call('ADD', 'new', 'c', anotherNamespace(t), wish),
    { status: 1, result: { code: 104, msg: /no WireGuard, which encrypts network new/ } })
  t.match(host.call('ADD', 'secret', 'c', anotherNamespace(t), { ...wish, port: 1 }),
    { status: 1, result: { code: 7, msg: /port 1 with encryption wireguard/ } })
  t.match(host.call('ADD', 'plain', 'c', anotherNamespace(t), { encryption: 'wireguard' }),
    { status: 1, result: { code: 7, msg: 'encryption wireguard: network plain has encryption none' } })
  t.equal(facts(), before)
  const networks = JSON.parse(fairlead('overlay', 'list', '--json', '--store', store)) as
    readonly { readonly network: string; readonly blocks: readonly unknown[] }[]
  t.same(networks.map(({ network, blocks }) => [network, blocks.length]), [['plain', 1], ['secret', 0]])
  t.notOk(readdirSync(`${host.runDirectory}/../state`).includes('wireguard.key'), 'no key either')
})
