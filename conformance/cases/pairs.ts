// Area L: CNI_ARGS as plugins read it (pkg/types/args.go of containernetworking/cni; CONVENTIONS.md, "CNI_ARGS").

import { apart } from '../apart.ts'
import { Skip, type Case } from '../case.ts'
import { must, mustEqual, refuses, resultOf, succeeds } from '../expect.ts'
import { kubernetesArgs } from '../libcni.ts'
import { addressesOf } from '../result.ts'
import { isAtLeast } from '../versions.ts'
import type { World } from '../world.ts'

const add = (world: World, CNI_ARGS: string) => {
  const [attempt] = apart(world, [{ pod: world.addPod(), env: { CNI_ARGS } }], world.attachments++)
  return world.call('ADD', attempt)
}

const accepts = (world: World, ...texts: string[]): void => {
  world.requireAttach()
  for (const text of texts) resultOf(add(world, text))
}

const refusesArgs = (world: World, text: string, ...mentions: string[]): void => {
  world.requireAttach()
  const reply = add(world, text)
  must(reply.status !== 0, `ADD with CNI_ARGS=${text} succeeded`)
  refuses(reply, [4, 7, 'own'], ...mentions)
}

/** The key that each reader of CNI_ARGS knows, with two values. */
const keys: Readonly<Record<string, readonly [key: string, ...values: [string, string]]>> = {
  'host-local': ['IP', '10.88.0.70', '10.88.0.71'],
  cluster: ['IP', '10.88.0.70', '10.88.0.71'],
  static: ['IP', '10.88.0.70/24', '10.88.0.71/24'],
}
const mac = ['MAC', '02:00:00:00:0c:01', '02:00:00:00:0c:02'] as const
const keyOf = (world: World) => keys[world.plugin] ?? mac

export const cases: readonly Case[] = [
  {
    id: 'L01', level: 'DEF', applies: ['ALL'], title: 'Kubernetes args',
    run(world) {
      world.requireAttach()
      const ignoring = ['IgnoreUnknown=1', ...kubernetesArgs]
      const reversed = [...kubernetesArgs].reverse().concat('IgnoreUnknown=1')
      for (const pairs of [ignoring, reversed]) {
        const attempt = { pod: world.addPod(), env: { CNI_ARGS: pairs.join(';') } }
        world.add(attempt)
        if (isAtLeast(world.subject.version, '0.4.0')) succeeds(world.call('CHECK', attempt))
        world.del(attempt)
      }
    },
  },
  {
    id: 'L02', level: 'DEF', applies: ['parser'], title: 'unknown without IgnoreUnknown',
    run(world) {
      refusesArgs(world, 'FOO=1', 'FOO')
    },
  },
  {
    id: 'L03', level: 'DEF', applies: ['parser'], title: 'IgnoreUnknown values',
    run(world) {
      accepts(world, ...['1', 'true', 'True'].map(value => `IgnoreUnknown=${value};FOO=1`))
      refusesArgs(world, 'IgnoreUnknown=yes')
    },
  },
  {
    id: 'L04', level: 'DEF', applies: ['parser'], title: 'duplicates',
    run(world) {
      if (world.plugin === 'ipvlan') throw new Skip('an ipvlan has the MAC address of its master')
      const [key, first, last] = keyOf(world)
      const pairs = [`${key}=${first}`, 'K8S_POD_NAME=a', 'IgnoreUnknown=1', `${key}=${last}`, 'K8S_POD_NAME=b']
      const { ips } = world.add({ env: { CNI_ARGS: ['IgnoreUnknown=true', ...pairs].join(';') } })
      if (key === 'MAC') mustEqual(world.pod.netns.link('eth0')?.address, last, 'the MAC address of eth0')
      else mustEqual(addressesOf({ ips: ips?.slice(-1) ?? [] }), [last.split('/')[0]], 'the last address')
    },
  },
  {
    id: 'L05', level: 'DEF', applies: ['parser'], title: 'malformed pair',
    run(world) {
      refusesArgs(world, 'FOO')
      refusesArgs(world, 'IgnoreUnknown=1;FOO')
    },
  },
  {
    id: 'L06', level: 'DEF', applies: ['parser'], title: 'empty value',
    run(world) {
      accepts(world, 'IgnoreUnknown=1;FOO=')
    },
  },
  {
    id: 'L07', level: 'QUAL', applies: ['parser'], title: 'trailing `;`, `=` in value',
    run(world) {
      accepts(world, 'IgnoreUnknown=1;FOO=a=b', 'IgnoreUnknown=1;FOO=1;')
    },
  },
  {
    id: 'L08', level: 'DEF', applies: ['parser'], title: 'key case',
    run(world) {
      const [key, value] = keyOf(world)
      refusesArgs(world, `${key.toLowerCase()}=${value}`, key.toLowerCase())
    },
  },
  {
    id: 'L09', level: 'DEF', applies: ['ALL'], title: 'empty CNI_ARGS',
    run(world) {
      world.add({ env: { CNI_ARGS: '' } })
    },
  },
]
