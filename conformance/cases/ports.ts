// Area K: ports that a runtime asks for (CONVENTIONS.md, "portMappings"), and whose addresses rules are made for. Rules
// are looked at whatever the backend, or felt with packets.

import type { Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import { resultIn } from '../result.ts'
import { answers, neighbour, onWire, Server, type Transport } from '../traffic.ts'
import type { Attempt, World } from '../world.ts'

const mapping = { hostPort: 8080, containerPort: 80, protocol: 'tcp' }

const asking = (...portMappings: readonly unknown[]): Attempt => ({ config: { runtimeConfig: { portMappings } } })

/** Rules, chains and tables of the host's firewall. */
const rules = (world: World): string[] => world.snapshot().filter(line => /^host (nft|ip6?tables) /.test(line))

/** Whether the firewall has an IPv4 address, alone or with a port or prefix length. */
const mentions = (world: World, address: string): boolean =>
  new RegExp(String.raw`(?<![\w.])${address.replaceAll('.', String.raw`\.`)}(?!\w|\.\w)`).test(world.host.firewall())

const [[first, other], [first6, other6]] = [onWire.ipv4, onWire.ipv6]

/** prevResult with an address of the host and one of another interface of the container before our own. */
const crowded = (world: World): JsonObject => {
  const { interfaces = [], ips = [], ...rest } = world.pod.prevResult ?? {}
  return resultIn(world.subject.version, {
    ...rest,
    interfaces: [...interfaces, { name: 'eth9', mac: '02:00:00:00:09:09', sandbox: world.pod.netns.path }],
    ips: [
      { address: '10.78.1.1/24', interface: 0 }, { address: '10.78.66.5/24', interface: interfaces.length }, ...ips,
    ],
  })
}

export const cases: readonly Case[] = [
  {
    id: 'K09', level: 'CONV', applies: ['portmap'], title: 'no mappings',
    run(world) {
      const before = rules(world)
      for (const runtimeConfig of [undefined, { portMappings: [] }, { portMappings: null }]) {
        const { ips } = world.add({ config: { runtimeConfig } })
        mustEqual(ips?.length, world.pod.prevResult?.ips?.length, 'the number of addresses handed on')
        mustEqual(rules(world), before, `the firewall with runtimeConfig ${JSON.stringify(runtimeConfig)}`)
      }
    },
  },
  {
    id: 'K10', level: 'DEF', applies: ['portmap'], title: 'containerd key style', needs: ['attach'],
    async run(world) {
      const there = neighbour(world)
      await using _server = await Server.start(world.pod.netns, 80)
      must(!answers(there, first, 8080), 'host port 8080 answers before ADD')
      const config = asking({ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' })
      world.add(config)
      must(answers(there, first, 8080), 'host port 8080 does not answer')
      world.del(config)
      must(!answers(there, first, 8080), 'host port 8080 answers after DEL')
    },
  },
  {
    id: 'K11', level: 'SHOULD', applies: ['portmap'], title: 'protocols', needs: ['attach'],
    async run(world) {
      const there = neighbour(world)
      const protocols: readonly (readonly [protocol: string, felt?: Transport])[] =
        [['tcp', 'tcp'], ['TCP', 'tcp'], ['udp', 'udp'], ['sctp']]
      for (const [protocol, transport] of protocols) {
        const pod = world.addPod()
        await using server = transport && await Server.start(pod.netns, 80, transport)
        const attempt = { pod, ...asking({ ...mapping, protocol }) }
        world.add(attempt)
        if (server) must(answers(there, first, 8080, transport), `host port 8080 does not answer over ${protocol}`)
        else must(/sctp[^\n]*8080|8080[^\n]*sctp/.test(world.host.firewall()), `no rule for ${protocol} port 8080`)
        world.del(attempt)
      }
    },
  },
  {
    id: 'K12', level: 'SHOULD', applies: ['portmap'], title: 'bad ports', needs: ['attach'],
    run(world) {
      for (const key of ['hostPort', 'containerPort']) {
        for (const port of [0, -1, 70000]) {
          const before = world.snapshot()
          refuses(world.call('ADD', asking({ ...mapping, [key]: port })), [2, 6, 7, 'own'])
          world.mustBeClean(before)
        }
      }
    },
  },
  {
    id: 'K13', level: 'QUAL', applies: ['portmap'], title: 'missing protocol', needs: ['attach'],
    async run(world) {
      const there = neighbour(world)
      await using _server = await Server.start(world.pod.netns, 80)
      const reply = world.call('ADD', asking({ hostPort: 8080, containerPort: 80 }))
      if (reply.status !== 0) return void refuses(reply, [7])
      resultOf(reply)
      must(answers(there, first, 8080), 'tcp is not assumed: host port 8080 does not answer')
    },
  },
  {
    id: 'K14', level: 'SHOULD', applies: ['portmap'], title: 'hostIP', needs: ['attach', 'ipv6'],
    async run(world) {
      const there = neighbour(world)
      await using _server = await Server.start(world.pod.netns, 80)
      world.add(asking({ ...mapping, hostIP: first }, { ...mapping, hostPort: 8081, hostIP: first6 }))
      const expected = [
        [first, 8080, true], [other, 8080, false], [first6, 8080, false],
        [first6, 8081, true], [other6, 8081, false], [first, 8081, false],
      ] as const
      for (const [address, port, wanted] of expected)
        mustEqual(answers(there, address, port), wanted, `whether ${address} answers on port ${port}`)
    },
  },
  {
    id: 'K15', level: 'SHOULD', applies: ['portmap', 'firewall'], title: 'only sandbox IPs of CNI_IFNAME',
    needs: ['attach'],
    run(world) {
      const own = world.pod.prevResult?.ips?.[0]?.address.split('/')[0] ?? ''
      const attempt = { config: { prevResult: crowded(world) } }
      world.add(attempt)
      must(mentions(world, own), `no rule for ${own}`)
      for (const address of ['10.78.1.1', '10.78.66.5']) must(!mentions(world, address), `a rule for ${address}`)
      world.del(attempt)
      must(!mentions(world, own), `DEL leaves a rule for ${own}`)
    },
  },
]
