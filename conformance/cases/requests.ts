// Area J: addresses and ranges that a runtime or a user asks for (CONVENTIONS.md: ips, ipRanges, args.cni.ips, IP).

import type { Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import { lessors, recordsStay } from '../pool.ts'
import { addressesOf, type Result } from '../result.ts'
import type { World } from '../world.ts'

const asked = '10.88.0.77'
const askers = [...lessors, 'static']

/** static wants prefix lengths. */
const spelled = (world: World, address: string): string => (world.plugin === 'static' ? `${address}/24` : address)

/** static without addresses of its own, because it appends those of CNI_ARGS. */
const bare = (world: World): JsonObject => (world.plugin === 'static' ? { ipam: { type: 'static' } } : {})

const gives = (result: Result, ...addresses: string[]): void =>
  mustEqual(addressesOf(result), addresses, 'the list of addresses')

const ranges = (world: World, value: unknown): JsonObject => ({
  ipam: { type: world.plugin },
  capabilities: { ipRanges: true },
  runtimeConfig: { ipRanges: value },
})

export const cases: readonly Case[] = [
  {
    id: 'J08', level: 'CONV', applies: askers, title: 'runtimeConfig.ips',
    run(world) {
      for (const ip of new Set([spelled(world, asked), `${asked}/24`])) {
        gives(world.add({ config: { capabilities: { ips: true }, runtimeConfig: { ips: [ip] } } }), asked)
        world.del()
      }
    },
  },
  {
    id: 'J09', level: 'CONV', applies: askers, title: 'args.cni.ips',
    run(world) {
      gives(world.add({ config: { args: { cni: { ips: [spelled(world, asked)] } } } }), asked)
    },
  },
  {
    id: 'J10', level: 'CONV', applies: askers, title: 'CNI_ARGS IP',
    run(world) {
      gives(world.add({ config: bare(world), env: { CNI_ARGS: `IP=${spelled(world, asked)}` } }), asked)
    },
  },
  {
    id: 'J11', level: 'CONV', applies: askers, title: 'args beats CNI_ARGS',
    run(world) {
      const args = { cni: { ips: [spelled(world, asked)] } }
      gives(world.add({ config: { args }, env: { CNI_ARGS: `IP=${spelled(world, '10.88.0.88')}` } }), asked)
    },
  },
  {
    id: 'J12', level: 'SHOULD', applies: lessors, title: 'requested address taken / outside / gateway',
    run(world) {
      const [taken = ''] = addressesOf(world.add({ pod: world.addPod() }))
      for (const address of [taken, '10.99.0.9', '10.88.0.1', '10.88.0.255', 'nonsense']) {
        recordsStay(world, () => {
          const reply = world.call('ADD', { env: { CNI_ARGS: `IP=${address}` } })
          must(reply.status !== 0, `ADD with IP=${address} succeeded`)
          refuses(reply, [4, 7, 11, 'own'])
        })
      }
    },
  },
  {
    id: 'J13', level: 'CONV', applies: ['host-local'], title: 'runtimeConfig.ipRanges',
    run(world) {
      const config = ranges(world, [[{ subnet: '10.88.7.0/24' }], [{ subnet: 'fd00:88:7::/64' }]])
      gives(world.add({ config }), '10.88.7.2', 'fd00:88:7::2')
    },
  },
  {
    id: 'J14', level: 'DEF', applies: ['host-local'], title: 'go-cni style ranges',
    run(world) {
      const config = ranges(world, [[{ Subnet: '10.88.7.0/24', RangeStart: '', RangeEnd: '', Gateway: '' }]])
      gives(world.add({ config }), '10.88.7.2')
    },
  },
  {
    id: 'J15', level: 'QUAL', applies: ['host-local'], title: 'flat range list', needs: ['attach'],
    run(world) {
      const config = ranges(world, [{ subnet: '10.88.7.0/24' }, { subnet: '10.88.8.0/24' }])
      const before = world.snapshot()
      const reply = world.call('ADD', { config })
      if (reply.status === 0) return gives(resultOf(reply), '10.88.7.2')
      refuses(reply, [2, 6, 7, 'own'])
      world.mustBe(before)
    },
  },
  {
    id: 'J24', level: 'SHOULD', applies: ['static'], title: 'GATEWAY arg, comma lists',
    run(world) {
      const CNI_ARGS = 'IP=10.88.0.77/24,fd00:88::77/64;GATEWAY=fd00:88::1,10.88.0.1'
      const { ips = [] } = world.add({ config: bare(world), env: { CNI_ARGS } })
      mustEqual(ips.map(({ address, gateway }) => [address, gateway]),
        [['10.88.0.77/24', '10.88.0.1'], ['fd00:88::77/64', 'fd00:88::1']], 'the list of ips')
    },
  },
  {
    id: 'J25', level: 'SHOULD', applies: ['static'], title: 'address without prefix', needs: ['attach'],
    run(world) {
      const config = { ipam: { type: 'static', addresses: [{ address: '10.88.0.5' }] } }
      refuses(world.call('ADD', { config }), [2, 6, 7, 'own'])
      refuses(world.call('ADD', { config: bare(world), env: { CNI_ARGS: 'IP=10.88.0.5' } }), [4, 7, 'own'])
      refuses(world.call('ADD', { config: { args: { cni: { ips: ['10.88.0.5'] } } } }), [2, 6, 7, 'own'])
      refuses(world.call('ADD', { config: { runtimeConfig: { ips: ['10.88.0.5'] } } }), [2, 6, 7, 'own'])
    },
  },
  {
    id: 'J28', level: 'SHOULD', applies: ['dhcp'], title: 'no daemon',
    run(world) {
      refuses(world.call('ADD'), [11, 50, 'own'], 'dhcp.sock')
    },
  },
  {
    id: 'J30', level: 'QUAL', applies: ['static'], title: 'CNI_ARGS beats configuration',
    run(world) {
      gives(world.add({ env: { CNI_ARGS: `IP=${asked}/24` } }), asked)
    },
  },
  {
    id: 'J31', level: 'QUAL', applies: ['static'], title: 'gateway of addresses asked for',
    run(world) {
      const gatewayOf = (config: JsonObject, CNI_ARGS = '') =>
        world.add({ config, env: { CNI_ARGS } }).ips?.[0]?.gateway
      const config = { runtimeConfig: { ips: [`${asked}/24`] } }
      mustEqual(gatewayOf(config), '10.88.0.1', 'the gateway, which the configuration has for this subnet,')
      mustEqual(gatewayOf(config, 'GATEWAY=10.88.0.9'), '10.88.0.9', 'the gateway, which CNI_ARGS names,')
      mustEqual(gatewayOf({ runtimeConfig: { ips: ['10.99.0.5/24'] } }) ?? '', '', 'the gateway in another subnet')
    },
  },
]
