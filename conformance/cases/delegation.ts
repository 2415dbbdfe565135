// Area E: how ADD runs the plugin that it delegates to (SPEC.md, section 4; pkg/invoke of containernetworking/cni).

import { mkdirSync } from 'node:fs'
import type { Case } from '../case.ts'
import { errorOf, must, mustEqual, succeeds } from '../expect.ts'
import { address4, lends } from '../lease.ts'
import type { Result } from '../result.ts'
import { answers, complains, leases, Stub } from '../stub.ts'
import type { World } from '../world.ts'

/** One more directory of stubs; its plugin hands out 10.77.0.200. */
const elsewhere = (world: World, directory: string, name: string): Stub => {
  mkdirSync(world.path(directory))
  const answer = answers({ ips: [{ address: '10.77.0.200/24', gateway: '10.77.0.1' }] })
  return new Stub(world.path(directory), `/run/conformance/record/${directory}`, name, { ADD: answer })
}

const first = ({ ips }: Result): string | undefined => ips?.[0]?.address

export const cases: readonly Case[] = [
  {
    id: 'E18', level: 'SHOULD', applies: ['delegating'], title: 'dns selection',
    run(world) {
      const [theirs, ours] = [['10.77.0.53'], ['192.0.2.53']]
      lends(world, { ips: [address4], dns: { nameservers: theirs, search: ['lease.example'] } })
      const { dns } = world.add()
      mustEqual([dns?.nameservers, dns?.search], [theirs, ['lease.example']], 'dns without one in the configuration')
      world.del()
      const chosen = world.add({ config: { dns: { nameservers: ours } } }).dns
      mustEqual(chosen?.nameservers, ours, 'nameservers with dns in the configuration')
    },
  },
  {
    id: 'E26', level: 'MUST', applies: ['delegating'], title: 'delegate gets identical stdin', needs: ['attach'],
    run(world) {
      const config = world.config('ADD', { unknown: { 'zeta ': [null, 'é', 1.5], alpha: {} } })
      const odd = JSON.stringify(config, null, 5).replaceAll('": {', '"  :\t{').replace('1.5', '1.50e0')
      // The stub finds the version by text and wants it without a space.
      const stdin = `  ${odd.replace('"cniVersion": ', '"cniVersion":')}\r\n\n`
      succeeds(world.call('ADD', { stdin }))
      mustEqual(world.ipam.calls().map(call => call.stdin.toString()), [stdin], 'the stdin of IPAM')
    },
  },
  {
    id: 'E27', level: 'MUST', applies: ['delegating'], title: 'delegate env', needs: ['attach'],
    run(world) {
      const attempt = {
        env: {
          FOO: '1', TRACEPARENT: '00-aa-bb-01', EMPTY: '', CNI_NETNS_OVERRIDE: '1',
          CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=é',
        },
      }
      succeeds(world.call('ADD', attempt))
      const env = world.ipam.calls()[0]?.env ?? {}
      const expected = Object.entries(world.env('ADD', attempt.env)).sort()
      mustEqual(Object.entries(env).sort(), expected, 'the environment of IPAM')
    },
  },
  {
    id: 'E28', level: 'MUST', applies: ['delegating'], title: 'delegate stderr forwarded',
    run(world) {
      const answer = leases(world.leases, '10.77.0.') + answers({ ips: [address4] })
      lends(world, {}, { ADD: `${complains('the pool is nearly empty')}\n${answer}` })
      world.add()
      const { stderr = '' } = world.replies.at(-1) ?? {}
      must(stderr.includes('the pool is nearly empty'), `stderr is ${JSON.stringify(stderr)}`)
    },
  },
  {
    id: 'E34', level: 'SHOULD', applies: ['delegating'], title: 'CNI_PATH order',
    run(world) {
      const second = elsewhere(world, 'second', 'stub-ipam')
      const path = [world.stubs, world.path('second'), world.subject.bin]
      mustEqual(first(world.add({ env: { CNI_PATH: path.join(':') } })), '10.77.0.2/24', 'the address')
      mustEqual(second.verbs(), [], 'the list of calls of the second directory')
      world.del()
      const turned = [path[1], path[0], path[2]]
      mustEqual(first(world.add({ env: { CNI_PATH: turned.join(':') } })), '10.77.0.200/24', 'the address')
    },
  },
  {
    id: 'E35', level: 'DEF', applies: ['delegating'], title: 'non-existent dirs in CNI_PATH',
    run(world) {
      world.add({ env: { CNI_PATH: `/nope:${world.stubs}:/etc/passwd` } })
    },
  },
  {
    id: 'E36', level: 'QUAL', applies: ['delegating'], title: 'empty CNI_PATH element', needs: ['attach'],
    run(world) {
      const stub = elsewhere(world, 'here', 'here-ipam')
      for (const path of [`:${world.subject.bin}`, `${world.subject.bin}:`]) {
        const attempt = { config: { ipam: { type: 'here-ipam' } }, env: { CNI_PATH: path }, cwd: world.path('here') }
        errorOf(world.call('ADD', attempt))
        world.call('DEL', attempt)
      }
      mustEqual(stub.verbs(), [], 'the list of calls of the stub in the working directory')
    },
  },
]
