// Area I: what GC has to free, plugin by plugin (SPEC.md 1.1.0, section 2, "GC"; containernetworking/plugins#1047).

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attach, collect, isCollected, listing, requireTraces, survives } from '../attachment.ts'
import type { Case } from '../case.ts'
import { must, mustEqual, succeeds } from '../expect.ts'
import { defaultDirectory, lessors, records } from '../pool.ts'
import { addressesOf } from '../result.ts'

const since = '1.1.0'

export const cases: readonly Case[] = [
  {
    id: 'I01', level: 'SHOULD', applies: lessors, title: 'stale reservation released', since,
    run(world) {
      const [alive, dead] = [attach(world), attach(world)]
      const given = [alive, dead].flatMap(({ result }) => addressesOf(result))
      mustEqual(Object.keys(records(world.network)), given, 'the list of records')
      succeeds(collect(world, listing(alive)))
      mustEqual(Object.keys(records(world.network)), addressesOf(alive.result), 'the list of records')
      survives(world, alive)
    },
  },
  {
    id: 'I13', level: 'MUST', applies: ['host-local'], title: 'control files kept', since,
    run(world) {
      attach(world)
      const [last = ''] = addressesOf(attach(world).result)
      succeeds(collect(world, listing()))
      for (const name of ['lock', 'last_reserved_ip.0'])
        must(existsSync(join(defaultDirectory, world.network, name)), `GC removed ${name}`)
      const next = last.replace(/\d+$/, number => String(Number(number) + 1))
      mustEqual(addressesOf(attach(world).result), [next], 'the address after GC')
    },
  },
  {
    id: 'I14', level: 'QUAL', applies: ['host-local'], title: 'legacy record (id only)', since,
    run(world) {
      const alive = attach(world)
      const file = join(defaultDirectory, world.network, addressesOf(alive.result)[0] ?? '')
      writeFileSync(file, alive.pod.id)
      succeeds(collect(world, listing({ ...alive, ifname: 'net1' })))
      must(existsSync(file), `GC removed ${file}, which holds the id of a valid attachment`)
      mustEqual(readFileSync(file, 'utf8'), alive.pod.id, 'the record')
    },
  },
  {
    id: 'I15', level: 'SHOULD', applies: ['portmap', 'firewall', 'bridge', 'ptp'], title: 'stale rules', since,
    async run(world) {
      const [alive, dead] = [attach(world), attach(world)]
      requireTraces(world, dead)
      // The container is gone, and its namespace with it.
      await world.kill(dead.pod)
      succeeds(collect(world, listing(alive)))
      isCollected(world, dead)
      survives(world, alive)
    },
  },
  {
    id: 'I16', level: 'SHOULD', applies: ['bandwidth'], title: 'stale ifb', since, needs: ['attach'],
    run(world) {
      const ifbs = (): string[] => world.host.links()
        .filter(({ linkinfo }) => linkinfo?.info_kind === 'ifb').map(({ ifname }) => ifname)
      world.add({ pod: world.addPod() })
      const kept = ifbs()
      const alive = [{ containerID: 'conformance-2', ifname: 'eth0' }]
      world.add({ pod: world.addPod() })
      must(ifbs().length > kept.length, 'ADD made no ifb')
      succeeds(collect(world, { 'cni.dev/attachments': alive, 'cni.dev/valid-attachments': alive }))
      mustEqual(ifbs(), kept, 'the list of ifb links')
    },
  },
]
