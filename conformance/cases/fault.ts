// Area F: DEL that cannot succeed, or whose configuration has changed (SPEC.md, section 2, "DEL"; go-cni takes an error
// that contains "not found" for success).

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { Skip, type Case } from '../case.ts'
import { hostEnd } from '../container.ts'
import { errorOf, must, type PluginError } from '../expect.ts'
import { lends } from '../lease.ts'
import { fails } from '../stub.ts'
import type { World } from '../world.ts'

/** Runs DEL once `disturb` has been done to an attachment; the error must not keep the own link from going. */
const removesOwnLink = (world: World, disturb: () => void): PluginError => {
  world.add()
  const end = hostEnd(world)?.ifname
  disturb()
  const error = errorOf(world.call('DEL'))
  must(world.pod.netns.link('eth0') === undefined, `eth0 is still there after "${error.msg}"`)
  if (world.subject.profile.host?.includes('device')) return error
  must(!end || !world.host.link(end), `${end} is still on the host after "${error.msg}"`)
  return error
}

const loseIpam = (world: World): void => rmSync(world.path('stub-ipam'))

export const cases: readonly Case[] = [
  {
    id: 'F13', level: 'SHOULD', applies: ['delegating'], title: 'IPAM DEL fails', needs: ['attach'],
    run(world) {
      const error = { cniVersion: world.subject.version, code: 111, msg: 'the ledger is locked' }
      lends(world, { ips: [{ address: '10.77.0.$n/24', gateway: '10.77.0.1' }] }, { DEL: fails(error) })
      const { code, msg } = removesOwnLink(world, () => {})
      must(code === 111 && msg.includes(error.msg), `the error is ${code} "${msg}", expected that of IPAM`)
    },
  },
  {
    id: 'F23', level: 'SHOULD', applies: ['dhcp'], title: 'daemon down',
    run(world) {
      world.del()
    },
  },
  {
    id: 'F24', level: 'SHOULD', applies: ['delegating'], title: 'IPAM binary missing', needs: ['attach'],
    run(world) {
      removesOwnLink(world, () => loseIpam(world))
    },
  },
  {
    id: 'F25', level: 'QUAL', applies: ['delegating', 'host-local'], title: 'wording', needs: ['attach'],
    run(world) {
      world.add()
      if (world.subject.profile.delegates) {
        loseIpam(world)
      } else {
        const directory = `/var/lib/cni/networks/${world.network}`
        rmSync(directory, { recursive: true, force: true })
        mkdirSync('/var/lib/cni/networks', { recursive: true })
        writeFileSync(directory, 'a file where the ledger should be')
      }
      const { msg, details } = errorOf(world.call('DEL'))
      const said = `${msg} ${details}`
      must(!/not found|no such file/i.test(said), `a runtime takes "${said.trim()}" for success`)
    },
  },
  {
    id: 'F29', level: 'QUAL', applies: ['ALL'], title: 'config became invalid',
    run(world) {
      const { invalid = {}, ipamRequired } = world.subject.profile
      if (Object.keys(invalid).length === 0) throw new Skip('the profile has no invalid configuration')
      const before = world.snapshot()
      for (const [title, change] of Object.entries(invalid)) {
        world.add()
        const reply = world.call('DEL', { config: change })
        must(reply.status === 0, `DEL with ${title} exited with ${reply.status}: ${reply.stdout.trim()}`)
        // Without its type nobody can call IPAM; a later DEL with the whole configuration can.
        if (ipamRequired && 'ipam' in change) world.del()
        world.mustBeClean(before)
      }
    },
  },
]
