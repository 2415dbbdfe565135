// Areas E and F: the link lo of a container (cni.dev, "loopback"; containerd runs it beside every pod).

import { isDeepStrictEqual } from 'node:util'
import { mustHaveShape } from '../shape.ts'
import { Skip, type Case } from '../case.ts'
import { linkIn } from '../container.ts'
import { must, mustEqual } from '../expect.ts'
import { isAtLeast } from '../versions.ts'

export const cases: readonly Case[] = [
  {
    id: 'E39', level: 'SHOULD', applies: ['loopback'], title: 'result', needs: ['attach'],
    run(world) {
      for (const version of world.subject.supported) {
        const pod = world.addPod()
        const result = world.add({ version, pod })
        mustHaveShape(result, version)
        must(linkIn(pod, 'lo').flags.includes('UP'), `lo is down after ADD in ${version}`)
        const present = linkIn(pod, 'lo').addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`)
        must(present.includes('127.0.0.1/8'), `lo has the addresses ${present.join(', ')}`)
        if (!isAtLeast(version, '0.3.0')) {
          mustEqual(result.ip4?.ip, '127.0.0.1/8', `ip4.ip in ${version}`)
          continue
        }
        const interfaces = result.interfaces?.map(({ name, sandbox }) => [name, sandbox])
        mustEqual(interfaces, [['lo', pod.netns.path]], `interfaces in ${version}`)
        mustEqual(result.ips?.map(({ address }) => address).sort(), present.sort(), `ips in ${version}`)
        mustEqual(result.ips?.map(ip => ip.interface), present.map(() => 0), `interface of the ips in ${version}`)
      }
    },
  },
  {
    id: 'E40', level: 'DEF', applies: ['loopback'], title: 'ignores ifname, passes prevResult',
    run(world) {
      if (world.plugin === 'none') throw new Skip('none does not belong into a chain')
      const prevResult = {
        cniVersion: world.subject.version,
        interfaces: [
          { name: 'host1', mac: '02:00:00:00:03:01' },
          { name: 'eth0', mac: '02:00:00:00:04:01', sandbox: world.pod.netns.path },
        ],
        ips: [{ address: '10.79.1.2/24', gateway: '10.79.1.1', interface: 1 }],
        routes: [{ dst: '0.0.0.0/0', gw: '10.79.1.1' }],
        dns: { nameservers: ['10.79.1.1'] },
      }
      const result = world.add({ config: { prevResult } })
      for (const key of ['interfaces', 'ips', 'routes', 'dns'] as const)
        must(isDeepStrictEqual(result[key], prevResult[key]), `${key} is not that of prevResult`)
      must(linkIn(world.pod, 'lo').flags.includes('UP'), 'lo is down')
    },
  },
  {
    id: 'F28', level: 'MUST', applies: ['loopback'], title: 'tolerant',
    async run(world) {
      const before = world.snapshot()
      for (const path of ['', '/run/netns/missing', '/run/nowhere/pod']) world.del({ env: { CNI_NETNS: path } })
      world.mustBe(before)
      world.add()
      await world.kill()
      world.del()
      world.mustBe(before)
    },
  },
]
