// Area J: which addresses an IPAM plugin hands out, and when it refuses (cni.dev, "host-local"; SPEC.md, section 4).

import type { Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf, succeeds } from '../expect.ts'
import { fill, lessors, pool, pools, records, recordsStay } from '../pool.ts'
import type { JsonObject } from '../json.ts'
import { addressesOf, type Result } from '../result.ts'

const container = (id: string) => ({ env: { CNI_CONTAINERID: id } })

export const cases: readonly Case[] = [
  {
    id: 'J01', level: 'MUST', applies: ['ipam'], title: 'abbreviated result',
    run(world) {
      const { interfaces = [], ips = [] } = world.add()
      mustEqual(interfaces, [], 'the list of interfaces')
      must(ips.length > 0, 'the result has no ips')
      for (const ip of ips) must(!('interface' in ip), `ips.interface of ${ip.address} is ${ip.interface}`)
    },
  },
  {
    id: 'J02', level: 'MUST', applies: [...lessors, 'static'], title: 'netns not needed',
    run(world) {
      world.add({ env: { CNI_NETNS: '/nope' } })
    },
  },
  {
    id: 'J03', level: 'MUST', applies: lessors, title: 'unique under concurrency', needs: ['attach'],
    async run(world) {
      const ids = Array.from({ length: 60 }, (_, number) => `parallel-${number}`)
      const replies = await Promise.all(ids.map(id => world.start('ADD', container(id)).reply))
      const distinct = new Set(replies.flatMap(reply => addressesOf(resultOf(reply))))
      mustEqual(distinct.size, ids.length, 'the number of different addresses')
      mustEqual(Object.keys(records(world.network)).length, ids.length, 'the number of records')
    },
  },
  {
    id: 'J04', level: 'SHOULD', applies: lessors, title: 'duplicate',
    run(world) {
      world.add()
      recordsStay(world, () => refuses(world.call('ADD'), ['own']))
    },
  },
  {
    id: 'J05', level: 'MUST', applies: lessors, title: 'same id, other ifname',
    run(world) {
      const first = addressesOf(world.add())
      const second = addressesOf(world.add({ env: { CNI_IFNAME: 'eth1' } }))
      must(first[0] !== second[0], `both interfaces have ${first[0]}`)
      world.del({ env: { CNI_IFNAME: 'eth1' } })
      mustEqual(Object.keys(records(world.network)), first, 'the list of records after DEL of eth1')
    },
  },
  {
    id: 'J06', level: 'SHOULD', applies: lessors, title: 'exhaustion',
    run(world) {
      const config = pool('10.88.0.0/30', {}, world.plugin)
      const { length } = fill(world, config)
      must(length <= 2, `a /30 gave ${length} addresses`)
      const refused = (): void => { refuses(world.call('ADD', { config }), [11, 'own']) }
      // The plugin that asks a cluster gives a sign of life there.
      if (world.plugin === 'cluster') recordsStay(world, refused)
      else world.unchanged(refused)
    },
  },
  {
    id: 'J07', level: 'SHOULD', applies: ['host-local'], title: 'two ranges, second full',
    run(world) {
      const config = pools([{ subnet: '10.88.0.0/24' }], [{ subnet: '10.88.1.0/30' }])
      fill(world, config)
      recordsStay(world, () => refuses(world.call('ADD', { config }), [11, 'own']))
    },
  },
  {
    id: 'J16', level: 'MUST', applies: ['ipam'], title: 'DEL unknown', needs: ['attach'],
    run(world) {
      world.del()
    },
  },
  {
    id: 'J17', level: 'SHOULD', applies: lessors, title: 'CHECK unknown', since: '0.4.0',
    run(world) {
      const prevResult = { cniVersion: world.subject.version, ...world.add() }
      succeeds(world.call('CHECK', { config: { prevResult } }))
      refuses(world.call('CHECK', { ...container('stranger'), config: { prevResult } }), ['own'])
    },
  },
  {
    id: 'J20', level: 'SHOULD', applies: lessors, title: 'gateway never handed out',
    run(world) {
      const config = pool('10.88.0.0/28', { gateway: '10.88.0.5' }, world.plugin)
      mustEqual(fill(world, config).length, 13, 'the number of addresses of a /28')
      must(!('10.88.0.5' in records(world.network)), 'the gateway has been handed out')
    },
  },
  {
    id: 'J21', level: 'SHOULD', applies: ['host-local'], title: 'bad subnets', needs: ['attach'],
    run(world) {
      const range = (subnet: string, more = {}) => ({ subnet, ...more })
      const bad = {
        'subnet /31': pool('10.88.0.0/31'),
        'host bits': pool('10.88.0.1/24'),
        'no prefix length': pool('10.88.0.0'),
        'mixed families': pools([range('10.88.0.0/24'), range('fd00:88::/64')]),
        'overlap in a set': pools([range('10.88.0.0/24'), range('10.88.0.128/25')]),
        'overlap of sets': pools([range('10.88.0.0/24')], [range('10.88.0.128/25')]),
        'empty set': pools([]),
        'rangeStart outside': pool('10.88.0.0/24', { rangeStart: '10.88.1.9' }),
        'rangeEnd outside': pool('10.88.0.0/24', { rangeEnd: '10.88.1.9' }),
        'gateway nonsense': pool('10.88.0.0/24', { gateway: 'nonsense' }),
      }
      world.unchanged(() => {
        for (const [title, config] of Object.entries(bad)) {
          const reply = world.call('ADD', { config })
          must(reply.status !== 0, `ADD with ${title} succeeded`)
          refuses(reply, [6, 7, 'own'])
        }
      })
    },
  },
  {
    id: 'J22', level: 'SHOULD', applies: ['host-local'], title: 'round robin',
    run(world) {
      const given = Array.from({ length: 3 }, () => {
        const [address] = addressesOf(world.add())
        world.del()
        return address
      })
      mustEqual(given, ['10.88.0.2', '10.88.0.3', '10.88.0.4'], 'the list of addresses')
    },
  },
  {
    id: 'J26', level: 'MUST', applies: ['static', ...lessors], title: 'v4+v6 order and gateways',
    run(world) {
      const { dual } = world.subject.profile
      const { ips = [], routes = [] } = world.add({ config: dual ?? {} })
      const gateways = ips.map(({ gateway }) => gateway)
      mustEqual(ips.map(({ address }) => address.split('/')[1]), ['24', '64'], 'the list of prefix lengths')
      mustEqual(gateways, ['10.88.0.1', 'fd00:88::1'], 'the list of gateways')
      mustEqual(routes.map(({ dst, gw }) => [dst, gw ?? '']),
        [['0.0.0.0/0', ''], ['10.99.0.0/16', '10.88.0.1'], ['::/0', '']], 'the list of routes')
    },
  },
  {
    id: 'J29', level: 'SHOULD', applies: ['static'], title: 'CHECK: address or gateway absent', since: '0.4.0',
    run(world) {
      const { dual: config = {} } = world.subject.profile
      const result = world.add({ config })
      const check = (ips: Result['ips']) =>
        world.call('CHECK', { config: { ...config, prevResult: { ...result, ips } } })
      const [four, six] = result.ips ?? []
      must(four && six, 'the result has no two addresses')
      succeeds(check([six, { address: '192.0.2.9/24' }, four]))
      const strangers = [{ ...four, address: '10.88.0.6/24' }, { ...six, gateway: 'fd00:88::2' }] as const
      for (const damaged of [[], [four], [strangers[0], six], [four, strangers[1]]])
        refuses(check(damaged), [7, 'own'])
    },
  },
  {
    id: 'J32', level: 'MUST', applies: ['static', ...lessors], title: 'default routes over several gateways kept',
    run(world) {
      const routes = ['10.88.0.1', '10.88.0.2'].map(gw => ({ dst: '0.0.0.0/0', gw }))
      const { ipam } = world.subject.profile.config
      const result = world.add({ config: { ipam: { ...(ipam as JsonObject), routes } } })
      mustEqual(result.routes?.map(({ gw }) => gw), ['10.88.0.1', '10.88.0.2'], 'the list of next hops')
    },
  },
]
