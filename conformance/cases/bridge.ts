// Area G: CHECK of the host's side of a bridge (cni.dev, "bridge").

import { mustNotice } from '../breakage.ts'
import type { Case } from '../case.ts'
import { hostEnd } from '../container.ts'
import { must, succeeds } from '../expect.ts'
import type { World } from '../world.ts'

const since = '0.4.0'

/** The port of the first container; throws when it has none. */
const portOf = (world: World): string => {
  const end = hostEnd(world)
  must(end?.master === 'br0', `eth0 has its other end in ${end?.master ?? 'no bridge'}, expected br0`)
  return end.ifname
}

export const cases: readonly Case[] = [
  {
    id: 'G22', level: 'SHOULD', applies: ['bridge'], title: 'veth no longer in bridge', since,
    run(world) {
      world.add()
      const port = portOf(world)
      mustNotice(world, () => world.host.ip('link', 'set', port, 'nomaster'))
    },
  },
  {
    id: 'G25', level: 'MUST', applies: ['bridge'], title: 'other containers join/leave', since,
    run(world) {
      world.add()
      portOf(world)
      const checked = (event: string): void => {
        const reply = world.call('CHECK')
        must(reply.status === 0, `CHECK of the first container fails once ${event}: ${reply.stdout.trim()}`)
      }
      // A virtual machine's port whose MAC address is the lowest: by itself a bridge takes the lowest of its ports.
      world.host.ip('link', 'add', 'vm0', 'address', '02:00:00:00:00:01', 'type', 'veth', 'peer', 'name', 'vm1')
      world.host.ip('link', 'set', 'vm0', 'master', 'br0', 'up')
      checked('a virtual machine has joined')
      const others = Array.from({ length: 3 }, () => world.addPod())
      for (const pod of others) {
        world.add({ pod })
        checked(`${pod.id} has joined`)
      }
      for (const pod of others) {
        world.del({ pod })
        checked(`${pod.id} has left`)
      }
      world.host.ip('link', 'del', 'vm0')
      checked('the virtual machine has left')
    },
  },
  {
    id: 'G26', level: 'SHOULD', applies: ['bridge'], title: 'host side broken', since,
    run(world) {
      const attempt = { config: { isGateway: true } }
      world.add(attempt)
      const port = portOf(world)
      const missed = Object.entries({
        'the port is down': { harm: ['link', 'set', port, 'down'], repair: ['link', 'set', port, 'up'] },
        'the bridge is down': { harm: ['link', 'set', 'br0', 'down'], repair: ['link', 'set', 'br0', 'up'] },
        'the gateway address is gone': {
          harm: ['address', 'del', '10.77.0.1/24', 'dev', 'br0'],
          repair: ['address', 'add', '10.77.0.1/24', 'dev', 'br0'],
        },
      }).filter(([, { harm, repair }]) => {
        world.host.ip(...harm)
        const noticed = world.call('CHECK', attempt).status !== 0
        world.host.ip(...repair)
        return !noticed
      }).map(([title]) => title)
      must(missed.length === 0, `CHECK succeeds although ${missed.join(', and although ')}`)
      succeeds(world.call('CHECK', attempt))
    },
  },
]
