// Area C: results of other plugins in another version than the one asked for (pkg/types of containernetworking/cni).

import { Skip, type Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf } from '../expect.ts'
import { isObject, type JsonObject } from '../json.ts'
import { resultIn, type Result } from '../result.ts'
import { mustHaveShape } from '../shape.ts'
import { prints } from '../stub.ts'
import type { World } from '../world.ts'

const needsVersion = (world: World, version: string): void => {
  if (!world.subject.supported.includes(version)) throw new Skip(`${world.plugin} does not advertise ${version}`)
}

/** The valid prevResult of a chained plugin in a version, without the parts of which a version below 0.3.0 has none. */
const previous = (world: World, version: string): JsonObject => resultIn(version, world.pod.prevResult ?? {})

const legacy = {
  cniVersion: '0.2.0',
  ip4: {
    ip: '10.77.0.9/24',
    gateway: '10.77.0.1',
    routes: [{ dst: '0.0.0.0/0' }, { dst: '10.99.0.0/16', gw: '10.77.0.1' }],
  },
}

const modern = { ips: [{ address: '10.77.0.9/24', gateway: '10.77.0.1' }], routes: [{ dst: '0.0.0.0/0' }] }

const mustKeep = ({ ips, routes }: Result): void => {
  mustEqual(ips?.map(({ address, gateway }) => [address, gateway]), [['10.77.0.9/24', '10.77.0.1']], 'the list of ips')
  must(routes?.some(({ dst }) => dst === '0.0.0.0/0'), `the default route is not in ${JSON.stringify(routes)}`)
}

export const cases: readonly Case[] = [
  {
    id: 'C20', level: 'DEF', applies: ['chained'], title: 'prevResult without cniVersion',
    run(world) {
      const { version } = world.subject
      const { cniVersion, ...prevResult } = previous(world, version)
      mustEqual(world.add({ config: { prevResult } }).cniVersion, version, 'cniVersion')
    },
  },
  {
    id: 'C21', level: 'DEF', applies: ['chained'], title: 'prevResult 0.3.1 under 0.4.0',
    run(world) {
      needsVersion(world, '0.4.0')
      const result = world.add({ version: '0.4.0', config: { prevResult: previous(world, '0.3.1') } })
      mustHaveShape(result, '0.4.0')
    },
  },
  {
    id: 'C22', level: 'QUAL', applies: ['chained'], title: 'prevResult of another family', needs: ['attach'],
    run(world) {
      needsVersion(world, '1.0.0')
      const reply = world.call('ADD', { version: '1.0.0', config: { prevResult: previous(world, '0.4.0') } })
      if (reply.status === 0) mustHaveShape(resultOf(reply), '1.0.0')
      else refuses(reply, [6, 7, 'own'])
    },
  },
  {
    id: 'C23', level: 'DEF', applies: ['chained'], title: 'prevResult 0.2.0 shape',
    run(world) {
      needsVersion(world, '0.2.0')
      const prevResult = previous(world, '0.2.0')
      const result = world.add({ version: '0.2.0', config: { prevResult } })
      mustHaveShape(result, '0.2.0')
      mustEqual(result.ip4?.ip, isObject(prevResult['ip4']) && prevResult['ip4']['ip'], 'ip4.ip')
    },
  },
  {
    id: 'C24', level: 'MUST', applies: ['delegating'], title: 'delegated result up-converted',
    run(world) {
      needsVersion(world, '1.0.0')
      world.stub('stub-ipam', { ADD: prints(JSON.stringify(legacy)) })
      const result = world.add({ version: '1.0.0' })
      mustHaveShape(result, '1.0.0')
      mustKeep(result)
      const route = result.routes?.find(({ dst }) => dst === '10.99.0.0/16')
      mustEqual(route?.gw, '10.77.0.1', 'gw of the route to 10.99.0.0/16')
    },
  },
  {
    id: 'C25', level: 'DEF', applies: ['delegating'], title: 'delegated result without version',
    run(world) {
      needsVersion(world, '1.0.0')
      world.stub('stub-ipam', { ADD: prints(JSON.stringify(modern)) })
      const result = world.add({ version: '1.0.0' })
      mustHaveShape(result, '1.0.0')
      mustKeep(result)
    },
  },
  {
    id: 'C26', level: 'SHOULD', applies: ['delegating'], title: 'delegated unknown version', needs: ['attach'],
    run(world) {
      world.stub('stub-ipam', { ADD: prints(JSON.stringify({ ...modern, cniVersion: '9.9.9' })) })
      const before = world.snapshot()
      refuses(world.call('ADD'), [1, 6, 'own'])
      world.mustBeClean(before)
    },
  },
  {
    id: 'C27', level: 'DEF', applies: ['chained'], title: 'unknown future fields tolerated',
    run(world) {
      const prevResult = previous(world, world.subject.version) as JsonObject & Result
      const interfaces = prevResult.interfaces?.map(entry => ({ ...entry, foo: { bar: 1 } }))
      const routes = prevResult.routes?.map(route => ({ ...route, gws: [{ gw: '10.79.1.1', weight: 1 }] }))
      world.add({ config: { prevResult: { ...prevResult, interfaces, routes, foo: 'bar' } } })
    },
  },
]
