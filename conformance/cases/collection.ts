// Area I: which attachments GC spares and which it frees (SPEC.md 1.1.0, section 2, "GC"; libcni for the older key).

import { attach, collect, isCollected, listing, requireTraces, survives } from '../attachment.ts'
import { Skip, type Case } from '../case.ts'
import { mustForward } from '../delegation.ts'
import { must, mustEqual, refuses, succeeds, succeedsSilently } from '../expect.ts'
import { addressesOf } from '../result.ts'
import { fails } from '../stub.ts'
import type { World } from '../world.ts'

const since = '1.1.0'
const both = ['cni.dev/attachments', 'cni.dev/valid-attachments'] as const

/** Two attachments of which the second is dead for the runtime. */
const pair = (world: World) => [attach(world), attach(world)] as const

export const cases: readonly Case[] = [
  {
    id: 'I02', level: 'MUST', applies: ['ALL'], title: 'listed attachments survive', since,
    run(world) {
      const alive = attach(world)
      succeedsSilently(collect(world, listing(alive)))
      survives(world, alive)
    },
  },
  {
    id: 'I03', level: 'DEF', applies: ['ALL'], title: 'old key only', since,
    run(world) {
      const [alive, dead] = pair(world)
      succeeds(collect(world, { ...listing(alive), 'cni.dev/valid-attachments': undefined }))
      survives(world, alive)
      requireTraces(world, dead)
      isCollected(world, dead)
    },
  },
  {
    id: 'I04', level: 'DEF', applies: ['ALL'], title: 'both keys differ', since,
    run(world) {
      const [one, other] = pair(world)
      succeeds(collect(world, { ...listing(one), 'cni.dev/valid-attachments': listing(other)['cni.dev/attachments'] }))
      survives(world, one)
      survives(world, other)
    },
  },
  {
    id: 'I05', level: 'DEF', applies: ['ALL'], title: 'list null', since,
    run(world) {
      const dead = attach(world)
      succeeds(collect(world, Object.fromEntries(both.map(key => [key, null]))))
      requireTraces(world, dead)
      isCollected(world, dead)
    },
  },
  {
    id: 'I06', level: 'MUST', applies: ['ALL'], title: 'list empty', since,
    run(world) {
      const dead = pair(world)
      succeeds(collect(world, listing()))
      for (const attached of dead) {
        requireTraces(world, attached)
        isCollected(world, attached)
      }
    },
  },
  {
    id: 'I07', level: 'DEF', applies: ['ALL'], title: 'keys absent', since, needs: ['attach'],
    run(world) {
      const reply = collect(world, Object.fromEntries(both.map(key => [key, undefined])))
      if (reply.status === 0) succeedsSilently(reply)
      else refuses(reply, [7])
    },
  },
  {
    id: 'I08', level: 'MUST', applies: ['ALL'], title: 'other networks untouched', since,
    run(world) {
      attach(world)
      // Networks may have the same addresses; the second one of this network is its own.
      attach(world, { network: 'neighbour' })
      const neighbour = attach(world, { network: 'neighbour' })
      succeeds(collect(world, listing()))
      survives(world, neighbour)
    },
  },
  {
    id: 'I09', level: 'MUST', applies: ['interface', 'ipam', 'loopback'], title: 'pair semantics', since,
    run(world) {
      const alive = attach(world)
      const dead = attach(world, { pod: alive.pod, ifname: 'eth1' })
      succeeds(collect(world, listing(alive)))
      requireTraces(world, dead)
      // Its container id belongs to the one that is alive as well.
      isCollected(world, { ...dead, words: addressesOf(dead.result) })
      survives(world, alive)
    },
  },
  {
    id: 'I10', level: 'MUST', applies: ['delegating'], title: 'forwarded', since,
    run(world) {
      const config = listing(attach(world))
      succeeds(world.call('GC', { config }))
      mustForward(world, world.ipam, 'GC', { config })
    },
  },
  {
    id: 'I11', level: 'MUST', applies: ['delegating'], title: 'delegate fails', since,
    run(world) {
      const dead = attach(world)
      world.stub('stub-ipam', { GC: fails({ code: 123, msg: 'no leases file' }) })
      refuses(collect(world, listing()), ['own'], 'no leases file')
      if (dead.traces > 0) isCollected(world, dead)
    },
  },
  {
    id: 'I12', level: 'MUST', applies: ['ALL'], title: 'idempotent', since,
    run(world) {
      attach(world)
      succeedsSilently(collect(world, listing()))
      world.unchanged(() => succeedsSilently(collect(world, listing())))
    },
  },
  {
    id: 'I17', level: 'MUST', applies: ['ALL'], title: 'malformed list', since,
    run(world) {
      const alive = attach(world)
      for (const list of ['all', 5, {}, ['a'], [{ containerID: alive.pod.id }], [{ containerID: 5, ifname: 'eth0' }]]) {
        const reply = collect(world, Object.fromEntries(both.map(key => [key, list])))
        must(reply.status !== 0, `GC with the list ${JSON.stringify(list)} succeeded`)
        refuses(reply, [6, 7])
      }
      survives(world, alive)
    },
  },
  {
    id: 'I18', level: 'MUST', applies: ['ALL'], title: 'unknown attachments ignored', since,
    run(world) {
      const alive = attach(world)
      const stranger = { ...alive, pod: { ...alive.pod, id: 'stranger' } }
      succeeds(collect(world, listing(stranger, alive, { ...stranger, ifname: 'net7' })))
      survives(world, alive)
    },
  },
  {
    id: 'I19', level: 'SHOULD', applies: ['interface'], title: 'no namespace entry', since,
    run(world) {
      const { pod } = attach(world)
      const before = pod.netns.link('eth0')
      must(before, 'ADD made no link')
      pod.netns.ip('link', 'add', 'own0', 'type', 'veth', 'peer', 'name', 'own1')
      pod.netns.ip('address', 'add', '192.0.2.9/24', 'dev', 'own0')
      const others = (): unknown => pod.netns.links().filter(({ ifname }) => ifname !== 'eth0')
      const kept = others()
      succeeds(collect(world, listing()))
      mustEqual(others(), kept, 'the list of the container\'s other links')
      // Whoever takes the host's end takes eth0 with it; what is left of the attachment must be whole.
      const left = pod.netns.link('eth0')
      if (left) mustEqual(left.addr_info, before.addr_info, 'the list of addresses of eth0')
    },
  },
  {
    id: 'I21', level: 'MUST', applies: ['ALL'], title: 'no container vars needed', since, needs: ['attach'],
    run(world) {
      const unset = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_ARGS: undefined }
      succeeds(world.call('GC', { env: unset }))
    },
  },
  {
    id: 'I20', level: 'MUST', applies: ['bridge', 'overlay'], title: 'shared devices kept', since,
    run(world) {
      const [alive] = pair(world)
      const shared = (): string[] => world.host.links()
        .filter(({ linkinfo }) => ['bridge', 'vxlan'].includes(linkinfo?.info_kind ?? '')).map(({ ifname }) => ifname)
      const before = shared()
      if (before.length === 0) throw new Skip('ADD made no shared device')
      succeeds(collect(world, listing(alive)))
      mustEqual(shared(), before, 'the list of shared links')
      survives(world, alive)
    },
  },
]
