// Area F: DEL when the container's namespace has gone (SPEC.md, section 2, "DEL"; containerd's second DEL of a pod).

import { writeFileSync } from 'node:fs'
import { Skip, type Case } from '../case.ts'
import { must, mustEqual, refuses } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import { mustBeReleased } from '../lease.ts'
import type { Attempt, World } from '../world.ts'

/** Once a pod has stopped and its namespace has gone, containerd asks for DEL again and knows nothing any more. */
const secondOfContainerd: Attempt = { env: { CNI_NETNS: '' }, config: { prevResult: undefined } }

/** ADD, then DEL in a way of the case's own once the namespace has gone. Nothing may be left. */
const removed = async (world: World, del: () => void | Promise<void>): Promise<void> => {
  const before = world.snapshot()
  world.add()
  await world.kill()
  await del()
  mustBeReleased(world)
  world.mustBeClean(before)
}

/** ADD that makes firewall rules, and DEL without the namespace; none of the container's may be left. */
const withoutRules = async (world: World, config: JsonObject, change: Attempt): Promise<void> => {
  const pod = world.addPod()
  const before = world.snapshot()
  const nothing = world.host.firewall()
  world.add({ pod, config })
  must(world.host.firewall() !== nothing, 'ADD has made no firewall rule')
  await world.kill(pod)
  world.del({ pod, ...change, config: { ...config, ...change.config } })
  world.mustBeClean(before)
}

export const cases: readonly Case[] = [
  {
    id: 'F04', level: 'MUST', applies: ['ALL'], title: 'empty netns',
    async run(world) {
      await removed(world, () => world.del({ env: { CNI_NETNS: '' } }))
    },
  },
  {
    id: 'F05', level: 'MUST', applies: ['ALL'], title: 'netns path gone',
    async run(world) {
      await removed(world, () => world.del())
    },
  },
  {
    id: 'F06', level: 'QUAL', applies: ['ALL'], title: 'nothing created', needs: ['profile'],
    run(world) {
      const before = world.snapshot()
      world.call('DEL', { env: { CNI_NETNS: '/run/netns/missing' } })
      world.mustBeClean(before)
    },
  },
  {
    id: 'F07', level: 'QUAL', applies: ['ALL'], title: 'netns path is a plain file',
    async run(world) {
      await removed(world, () => {
        writeFileSync(world.pod.netns.path, '')
        world.del()
      })
    },
  },
  {
    id: 'F10', level: 'MUST', applies: ['bridge', 'ptp'], title: 'NAT rules with netns gone',
    needs: ['attach', 'nft', 'iptables'],
    async run(world) {
      await withoutRules(world, { ipMasq: true }, {})
      await withoutRules(world, { ipMasq: true }, secondOfContainerd)
    },
  },
  {
    id: 'F11', level: 'MUST', applies: ['portmap', 'firewall'], title: 'rules with netns gone, no prevResult',
    needs: ['attach'],
    async run(world) {
      await withoutRules(world, {}, secondOfContainerd)
    },
  },
  {
    id: 'F12', level: 'QUAL', applies: ['portmap'], title: 'DEL without portMappings',
    async run(world) {
      const before = world.snapshot()
      world.add()
      world.del({ config: { runtimeConfig: undefined } })
      world.mustBeClean(before)
    },
  },
  {
    id: 'F17', level: 'DEF', applies: ['ALL'], title: 'same netns', since: '1.1.0', needs: ['profile'],
    run(world) {
      if (world.plugin === 'host') throw new Skip('this is where its containers are')
      world.host.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far0')
      world.unchanged(() => refuses(world.call('DEL', { env: { CNI_NETNS: world.host.path } }), [8]))
      mustEqual(world.host.link('eth0')?.ifname, 'eth0', 'the link of the host')
    },
  },
]
