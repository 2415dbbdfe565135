// vrf behind the plugins that make interfaces, and in turn with the reference plugin.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'tap'
import type { AnyDriver } from '#cni/driver.ts'
import type { Json } from '#cni/json.ts'
import type { Namespace } from '#net/namespace.ts'
import { kernelLacks, lacks, reaches } from '#tools/kernel.ts'
import { Node } from '#tools/node.ts'
import { bridge } from '../bridge/bridge.ts'
import { dummy } from '../dummy/dummy.ts'
import { ipvlan } from '../ipvlan/ipvlan.ts'
import { macvlan } from '../macvlan/macvlan.ts'
import { ptp } from '../ptp/ptp.ts'
import { vrf } from './vrf.ts'

const REFERENCE = '/usr/lib/cni/vrf'
const subnets = ['10.9.0.0/24', 'fd00:9::/64']
const routes = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }, { dst: '192.0.2.0/24', mtu: 1300, priority: 5 }]
const isStacked = (driver: AnyDriver): boolean => driver.name === 'macvlan' || driver.name === 'ipvlan'

test('vrf in a chain', { skip: lacks('ip') || lacks('ping') || kernelLacks('vrf') }, async t => {
  const drivers: readonly (readonly [AnyDriver, Json])[] = [
    [bridge, { isGateway: true }], [bridge, { isGateway: true, enabledad: true }], [ptp, {}],
    [macvlan, { master: 'up0' }], [ipvlan, { master: 'up0' }], [dummy, {}],
  ]
  for (const [driver, keys] of drivers) {
    t.test(`behind ${driver.name} ${JSON.stringify(keys)}`, async t => {
      const later = new Node(t, vrf, { vrfname: 'blue' })
      const first = new Node(t, driver, keys, ...subnets)
      const pod = first.pod()
      const there = ['10.9.0.1/24', 'fd00:9::1/64']
      const outside = isStacked(driver) ? first.uplink({ own: [], there }) : first.host
      const config = first.config({ ipam: { ...first.ipam(...subnets), routes } })
      const made = first.call('ADD', pod, config)
      const result = later.call('ADD', pod, later.config({ prevResult: made }))
      t.match(result, { ips: [{}, {}], routes: [{}, {}, {}] })
      if (driver !== dummy) for (const to of ['10.9.0.2', 'fd00:9::2']) t.ok(reaches(outside, to), to)
      first.call('CHECK', pod, { ...config, prevResult: result })
      later.call('CHECK', pod, later.config({ prevResult: result }))
      later.call('DEL', pod, later.config({ prevResult: result }))
      first.call('DEL', pod, { ...config, prevResult: result })
      t.same(pod.link.list().map(({ name }) => name), ['lo'])
    })
  }

  t.test('made by the reference plugin and deleted by ours, and the other way round', {
    skip: !existsSync(REFERENCE) && `no ${REFERENCE}`,
  }, async t => {
    const later = new Node(t, vrf, { cniVersion: '1.0.0', vrfname: 'blue' })
    const first = new Node(t, bridge, { cniVersion: '1.0.0', isGateway: true }, ...subnets)
    const call = (byOurs: boolean, verb: string, pod: Namespace, prevResult: Json): void => {
      if (byOurs) return void later.call(verb, pod, later.config({ prevResult }))
      const { status, stdout } = spawnSync(REFERENCE, [], {
        encoding: 'utf8', input: JSON.stringify(later.config({ prevResult })),
        env: {
          CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0', CNI_PATH: '/usr/lib/cni',
        },
      })
      if (status !== 0) throw new Error(stdout)
    }
    for (const ours of [true, false]) {
      const pod = first.pod()
      // That plugin, as of version 1.1.1, loses all routes but those to the addresses' subnets.
      const config = first.config()
      const made = first.call('ADD', pod, config)!
      call(ours, 'ADD', pod, made)
      t.equal(pod.link.get('eth0').master, pod.link.get('blue').index)
      for (const judge of [true, false]) t.doesNotThrow(() => call(judge, 'CHECK', pod, made), `ours: ${judge}`)
      call(!ours, 'DEL', pod, made)
      t.equal(pod.link.find('blue'), undefined)
      t.equal(pod.link.get('eth0').master, undefined)
      call(!ours, 'DEL', pod, made)
      first.call('DEL', pod, config)
    }
  })
})
