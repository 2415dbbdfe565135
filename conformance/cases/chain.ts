// Areas E, F and G: several plugins in a row (SPEC.md, section 3, "Execution of Network Configurations").

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Skip, type Case } from '../case.ts'
import { entryOf, linkIn } from '../container.ts'
import { Failure, must, mustEqual, refuses, resultOf, succeeds } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import { ListError, Runtime, type NetworkList } from '../libcni.ts'
import { chained } from '../profiles/chained.ts'
import type { Result } from '../result.ts'
import type { World } from '../world.ts'

const foreign = { name: 'foreign0', mac: '02:00:00:00:09:01', sandbox: '/run/netns/elsewhere' }
const previous: Result = {
  interfaces: [foreign],
  ips: [{ address: '192.0.2.7/24', interface: 0 }],
  routes: [{ dst: '198.51.100.0/24', gw: '192.0.2.1' }],
  dns: {},
}

/** The bridge and whichever of the chained plugins of a usual node there are. */
const usual = ({ subject }: World): { list: NetworkList; capabilities: JsonObject; remains: readonly string[] } => {
  const { bin, features } = subject
  const plugins = ['tuning', 'bandwidth', 'portmap', 'firewall']
    .filter(type => existsSync(join(bin, type)) && chained[type]?.needs?.every(feature => features[feature]))
  if (plugins.length === 0) throw new Skip(`${bin} has none of tuning, bandwidth, portmap and firewall`)
  const entries = plugins.map(type => {
    const { runtimeConfig, ...keys } = chained[type]?.config ?? {}
    return { type, ...keys }
  })
  const capabilities = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }
  const first = { type: 'bridge', bridge: 'br0', isGateway: true, ipam: { type: 'stub-ipam' } }
  const remains = [subject.profile, ...plugins.map(type => chained[type])].flatMap(profile => profile?.remains ?? [])
  return { list: { cniVersion: '1.0.0', name: 'conformance', plugins: [first, ...entries] }, capabilities, remains }
}

/** Runs a list; that one of its plugins fails is the verdict. */
const judged = <T>(step: () => T): T => {
  try {
    return step()
  } catch (error) {
    throw error instanceof ListError ? new Failure(error.message) : error
  }
}

export const cases: readonly Case[] = [
  {
    id: 'E25', level: 'MUST', applies: ['interface'], title: 'prevResult never dropped', needs: ['attach'],
    run(world) {
      const reply = world.call('ADD', { config: { prevResult: { cniVersion: world.subject.version, ...previous } } })
      if (reply.status !== 0) return void refuses(reply, [7])
      const result = resultOf(reply)
      const own = entryOf(result, world.pod)
      const { interfaces = [], ips = [] } = result
      const kept = ips.find(({ address }) => address === '192.0.2.7/24')
      must(kept, `192.0.2.7/24 is not among ${JSON.stringify(ips)}`)
      const { name, mac, sandbox } = interfaces[kept.interface ?? -1] ?? {}
      mustEqual([name, mac, sandbox], Object.values(foreign), 'the interface of 192.0.2.7/24')
      mustEqual(ips.filter(ip => ip !== kept).map(ip => ip.interface ?? own), [own], 'the interface of the own address')
      must(result.routes?.some(({ dst }) => dst === '198.51.100.0/24'), 'the route of prevResult is gone')
    },
  },
  {
    id: 'F26', level: 'MUST', applies: ['bridge'], title: 'reverse order, final prevResult', needs: ['attach'],
    run(world) {
      const { list, capabilities, remains } = usual(world)
      const runtime = new Runtime(world)
      const attachment = { pod: world.pod, capabilities }
      const before = world.snapshot()
      judged(() => {
        runtime.add(list, attachment)
        runtime.del(list, attachment)
      })
      world.mustBeClean(before, remains)
    },
  },
  {
    id: 'G09', level: 'MUST', applies: ['interface'], title: 'later plugin changed mac', since: '0.4.0',
    run(world) {
      if (world.plugin === 'ipvlan') throw new Skip('an ipvlan has the MAC address of its master')
      const mac = '02:aa:bb:cc:dd:01'
      const result = world.add()
      const own = entryOf(result, world.pod)
      must(linkIn(world.pod).address !== mac, `eth0 has ${mac} already`)
      world.pod.netns.ip('link', 'set', 'eth0', 'address', mac)
      const interfaces = result.interfaces?.map((entry, at) => (at === own ? { ...entry, mac } : entry))
      succeeds(world.call('CHECK', { config: { prevResult: { ...result, interfaces } } }))
    },
  },
  {
    id: 'G21', level: 'MUST', applies: ['bridge'], title: 'all plugins get the same final prevResult',
    needs: ['attach'],
    run(world) {
      const { list, capabilities } = usual(world)
      const runtime = new Runtime(world)
      const attachment = { pod: world.pod, capabilities }
      judged(() => {
        runtime.add(list, attachment)
        runtime.check(list, attachment)
      })
    },
  },
]
