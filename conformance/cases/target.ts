// Area E: namespaces and names that ADD cannot use (SPEC.md, section 2, "ADD"; pkg/skel of containernetworking/cni).

import { Skip, type Case } from '../case.ts'
import { linkIn } from '../container.ts'
import { errorOf, mustEqual, refuses, resultOf, succeeds } from '../expect.ts'
import { command } from '../netns.ts'
import { isAtLeast } from '../versions.ts'
import type { World } from '../world.ts'

/** Makes the pod's namespace known by one more path, as a bind mount. */
export const alias = (world: World, name: string): string => {
  const path = `/run/netns/${name}`
  command('touch', [path])
  command('mount', ['--bind', world.pod.netns.path, path])
  return path
}

/** Makes the host look like a container to a plugin that comes after another one. */
const asContainer = (world: World): object => {
  const { prevResult } = world.pod
  if (!prevResult) return {}
  world.host.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far0')
  world.host.ip('address', 'add', '10.78.9.2/24', 'dev', 'eth0')
  world.host.ip('link', 'set', 'eth0', 'up')
  const { address: mac = '' } = world.host.link('eth0') ?? {}
  const interfaces = [{ name: 'far0' }, { name: 'eth0', mac, sandbox: world.host.path }]
  const ips = [{ address: '10.78.9.2/24', gateway: '10.78.9.1', interface: 1 }]
  return { config: { prevResult: { cniVersion: world.subject.version, interfaces, ips } } }
}

export const cases: readonly Case[] = [
  {
    id: 'E08', level: 'MUST', applies: ['interface'], title: 'name already taken', needs: ['attach'],
    run(world) {
      world.pod.netns.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far0')
      const before = world.snapshot()
      errorOf(world.call('ADD'))
      world.mustBeClean(before)
    },
  },
  {
    id: 'E09', level: 'SHOULD', applies: ['interface'], title: 'duplicate ADD', needs: ['attach'],
    run(world) {
      world.add()
      world.unchanged(() => errorOf(world.call('ADD')))
      if (isAtLeast(world.subject.version, '0.4.0')) succeeds(world.call('CHECK'))
    },
  },
  {
    id: 'E11', level: 'SHOULD', applies: ['interface'], title: 'netns missing', needs: ['attach'],
    run(world) {
      const before = world.snapshot()
      refuses(world.call('ADD', { env: { CNI_NETNS: '/run/netns/missing' } }), [3, 8, 'own'])
      world.mustBeClean(before)
    },
  },
  {
    id: 'E12', level: 'SHOULD', applies: ['ALL'], title: 'netns is a plain file / other ns type', needs: ['attach'],
    run(world) {
      if (world.subject.profile.kind === 'ipam') throw new Skip('an IPAM plugin needs no namespace: J02')
      const before = world.snapshot()
      for (const path of ['/etc/passwd', '/proc/1/ns/mnt']) errorOf(world.call('ADD', { env: { CNI_NETNS: path } }))
      world.mustBeClean(before)
    },
  },
  {
    id: 'E13', level: 'DEF', applies: ['ALL'], title: 'same netns refused before work',
    since: '1.1.0', needs: ['attach'],
    run(world) {
      const change = asContainer(world)
      world.unchanged(() => refuses(world.call('ADD', { ...change, env: { CNI_NETNS: world.host.path } }), [8]))
    },
  },
  {
    id: 'E14', level: 'DEF', applies: ['ALL'], title: 'override', since: '1.1.0', needs: ['attach'],
    run(world) {
      const change = asContainer(world)
      for (const override of ['1', 'true', 'TRUE']) {
        const attempt = { ...change, env: { CNI_NETNS: world.host.path, CNI_NETNS_OVERRIDE: override } }
        resultOf(world.call('ADD', attempt))
        succeeds(world.call('DEL', attempt))
      }
      refuses(world.call('ADD', { ...change, env: { CNI_NETNS: world.host.path, CNI_NETNS_OVERRIDE: 'yes' } }), [8])
    },
  },
  {
    id: 'E42', level: 'QUAL', applies: ['interface'], title: 'non-ASCII/long netns path, relative path',
    needs: ['attach'],
    run(world) {
      const paths = [alias(world, `Behälter ${'x'.repeat(200)}`), world.pod.netns.path.slice(1)]
      for (const path of paths) {
        const before = world.snapshot()
        const attempt = { env: { CNI_NETNS: path } }
        const reply = world.call('ADD', attempt)
        if (reply.status === 0) {
          const entry = resultOf(reply).interfaces?.find(({ sandbox }) => sandbox)
          mustEqual([entry?.name, entry?.sandbox], ['eth0', path], 'name and sandbox of the container interface')
          linkIn(world.pod)
          world.del(attempt)
        } else {
          errorOf(reply)
        }
        world.mustBeClean(before)
      }
    },
  },
]
