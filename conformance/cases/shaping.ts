// Area K: what runtimes ask of bandwidth and tuning (CONVENTIONS.md, "bandwidth" and "mac"; ocicni of CRI-O; cni.dev,
// "Meta plugins").

import { readFileSync } from 'node:fs'
import type { Case } from '../case.ts'
import { must, mustEqual, refuses } from '../expect.ts'
import { isObject, type JsonObject } from '../json.ts'
import type { World } from '../world.ts'

/** bandwidth with nothing but what the runtime asks for. */
const runtime = (bandwidth: JsonObject): JsonObject => ({
  ...Object.fromEntries(['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'].map(key => [key, undefined])),
  capabilities: { bandwidth: true },
  runtimeConfig: { bandwidth },
})

/** Bytes per second of the token buckets: of the container's link on the host, and of any other link. */
const rates = (world: World): { readonly ingress: unknown[]; readonly egress: unknown[] } => {
  const buckets = world.host.qdiscs().filter(({ kind }) => kind === 'tbf')
  const rate = ({ options }: JsonObject): unknown => isObject(options) && options['rate']
  return {
    ingress: buckets.filter(({ dev }) => dev === 'host1').map(rate),
    egress: buckets.filter(({ dev }) => dev !== 'host1').map(rate),
  }
}

const filters = (world: World): string => world.host.exec('tc', 'filter', 'show', 'dev', 'host1', 'parent', 'ffff:')

const macs = ['02:00:00:00:0e:01', '02:00:00:00:0e:02', '02:00:00:00:0e:03', '02:00:00:00:0e:04'] as const

/** Files of settings that no container owns. */
const foreign = ['/proc/sys/kernel/domainname', '/proc/sys/kernel/hostname', '/proc/sys/vm/swappiness'] as const

const values = (): string[] => foreign.map(path => readFileSync(path, 'utf8'))

export const cases: readonly Case[] = [
  {
    id: 'K16', level: 'SHOULD', applies: ['bandwidth'], title: 'CRI-O burst', needs: ['attach'],
    run(world) {
      const burst = 34_359_738_359
      const asked = { ingressRate: 8_000_000, ingressBurst: burst, egressRate: 16_000_000, egressBurst: burst }
      world.add({ config: runtime(asked) })
      mustEqual(rates(world), { ingress: [1_000_000], egress: [2_000_000] }, 'the rates in bytes per second')
      must(filters(world).includes('mirred'), 'nothing that comes in by host1 is redirected')
    },
  },
  {
    id: 'K17', level: 'SHOULD', applies: ['bandwidth'], title: 'limits', needs: ['attach'],
    run(world) {
      const pairs: JsonObject[] = [
        { ingressRate: 8000, ingressBurst: 34_359_738_360 }, { egressRate: 8000, egressBurst: 34_359_738_360 },
        { ingressRate: 8000 }, { egressRate: 8000 }, { ingressBurst: 8000 }, { egressBurst: 8000 },
        { ingressRate: -8000, ingressBurst: 8000 }, { egressRate: 8000, egressBurst: -8000 },
      ]
      for (const pair of pairs)
        world.unchanged(() => refuses(world.call('ADD', { config: runtime(pair) }), [2, 6, 7, 'own']))
    },
  },
  {
    id: 'K18', level: 'SHOULD', applies: ['bandwidth'], title: 'one direction only', needs: ['attach'],
    run(world) {
      const none = { ingressRate: 0, ingressBurst: 0, egressRate: 0, egressBurst: 0 }
      const directions = [
        [{ ...none, ingressRate: 8_000_000, ingressBurst: 80_000 }, { ingress: [1_000_000], egress: [] }],
        [{ ...none, egressRate: 8_000_000, egressBurst: 80_000 }, { ingress: [], egress: [1_000_000] }],
      ] as const
      for (const [asked, wanted] of directions) {
        const attempt = { config: runtime(asked) }
        world.add(attempt)
        mustEqual(rates(world), wanted, `the rates with ${JSON.stringify(asked)}`)
        world.del(attempt)
        // What is on the pair itself may stay until that goes.
        for (const which of ['root', 'ingress'])
          world.host.exec('sh', '-c', `tc qdisc del dev host1 ${which} 2>/dev/null || true`)
      }
    },
  },
  {
    id: 'K19', level: 'CONV', applies: ['tuning'], title: 'args.cni / runtimeConfig.mac / CNI_ARGS MAC',
    needs: ['attach'],
    run(world) {
      const [inConfig, inArgs, inRuntime, inVariable] = macs
      const own = { mac: inConfig }
      const args = { args: { cni: { mac: inArgs, mtu: 1390, sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } } } }
      const capability = { capabilities: { mac: true }, runtimeConfig: { mac: inRuntime } }
      const variable = `MAC=${inVariable}`
      // A datum in args or from the runtime makes CNI_ARGS ignored; which of the two counts is not written down.
      const attempts: readonly (readonly [JsonObject, string, readonly string[]])[] = [
        [own, '', [inConfig]], [{ ...own, ...args }, '', [inArgs]], [{ ...own, ...capability }, '', [inRuntime]],
        [own, variable, [inVariable]], [{ ...own, ...args }, variable, [inArgs]],
        [{ ...own, ...capability }, variable, [inRuntime]],
        [{ ...own, ...args, ...capability }, '', [inArgs, inRuntime]],
      ]
      for (const [config, CNI_ARGS, wanted] of attempts) {
        const attempt = { pod: world.addPod(), config, env: { CNI_ARGS } }
        const { interfaces = [] } = world.add(attempt)
        const { address = '', mtu } = attempt.pod.netns.link('eth0') ?? {}
        const from = `with ${JSON.stringify(config)} and CNI_ARGS=${CNI_ARGS}`
        must(wanted.includes(address), `the MAC address of eth0 is ${address}, expected ${wanted.join(' or ')} ${from}`)
        mustEqual(interfaces.find(({ name }) => name === 'eth0')?.mac, address, 'the mac in the result')
        mustEqual(mtu, 'args' in config ? 1390 : 1500, `the mtu ${from}`)
      }
    },
  },
  {
    id: 'K20', level: 'SHOULD', applies: ['tuning'], title: 'sysctl outside net / traversal', needs: ['attach'],
    run(world) {
      const before = values()
      const keys = [
        'kernel.domainname', 'kernel/hostname', 'net/../kernel/domainname', 'net.ipv4/../../kernel/hostname',
        '/net/../vm/swappiness', 'net', '../sys/vm/swappiness', 'IFNAME.x',
      ]
      for (const key of keys) {
        const config = { sysctl: { 'net.ipv4.conf.eth0.log_martians': '1', [key]: '42' } }
        world.unchanged(() => refuses(world.call('ADD', { config }), [2, 6, 7, 'own']))
        mustEqual(values(), before, `settings of the host after ${key}`)
      }
    },
  },
]
