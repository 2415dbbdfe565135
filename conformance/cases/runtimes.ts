// Area M: whole networks as runtimes run them (libcni; go-cni of containerd; ocicni of CRI-O; Multus; cnitool).

import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Skip, type Case } from '../case.ts'
import { Chain, mustBeConnected } from '../chain.ts'
import { Failure, must, mustEqual, resultOf, succeeds } from '../expect.ts'
import type { JsonObject } from '../json.ts'
import { sibling } from '../lease.ts'
import { kubernetesArgs, request, Runtime, type Attachment } from '../libcni.ts'
import { isAtLeast } from '../versions.ts'

/** What a runtime may ask for; the burst is CRI-O's. */
const wishes: JsonObject = {
  portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  bandwidth: {
    ingressRate: 8_000_000, ingressBurst: 34_359_738_359, egressRate: 8_000_000, egressBurst: 34_359_738_359,
  },
}

/** What containerd offers: Go structs without JSON tags, and null for empty lists. */
const containerd: JsonObject = {
  portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
  bandwidth: { IngressRate: 8_000_000, IngressBurst: 4_294_967_295, EgressRate: 0, EgressBurst: 0 },
  dns: { Servers: ['10.88.0.53'], Searches: null, Options: null },
  cgroupPath: '/kubepods/pod5f-6e',
  'io.kubernetes.cri.pod-annotations': { 'example.org/a': 'b' },
}

export const cases: readonly Case[] = [
  {
    id: 'M01', level: 'MUST', applies: ['bridge'], title: 'chain per version', needs: ['attach'],
    run(world) {
      const chain = new Chain(world)
      const runtime = new Runtime(world)
      for (const version of chain.versions()) {
        const attachment = { pod: world.addPod(), capabilities: wishes }
        const list = chain.list(version)
        const before = world.snapshot()
        const address = mustBeConnected(runtime.add(list, attachment), attachment)
        chain.mustWork(world, { version, attachment, address })
        if (isAtLeast(version, '0.4.0')) runtime.check(list, attachment)
        runtime.del(list, attachment)
        world.mustBeClean(before, chain.remains)
      }
    },
  },
  {
    id: 'M02', level: 'DEF', applies: ['bridge'], title: 'containerd emulation', needs: ['attach'],
    async run(world) {
      const chain = new Chain(world)
      const runtime = new Runtime(world)
      const { pod } = world
      const executable = sibling(world, 'loopback')
      const capabilities = Object.fromEntries(Object.keys(containerd).map(name => [name, true]))
      const list = chain.list(chain.newest(), { capabilities })
      const args = [...kubernetesArgs.slice(2), 'IgnoreUnknown=1', ...kubernetesArgs.slice(0, 2)].join(';')
      const attachment = { pod, args, capabilities: containerd }
      const loopback = {
        executable,
        stdin: request({ cniVersion: '0.3.1', name: 'cni-loopback', plugins: [] }, { type: 'loopback' }),
        env: { CNI_IFNAME: 'lo', CNI_ARGS: args },
      }
      const before = world.snapshot()
      // Both networks of a pod at the same time.
      const parallel = world.start('ADD', loopback).reply
      const address = mustBeConnected(runtime.add(list, attachment), attachment)
      resultOf(await parallel)
      must(pod.netns.link('lo')?.flags.includes('UP'), 'lo is down')
      chain.mustWork(world, { version: list.cniVersion, attachment, address })
      succeeds(world.call('DEL', loopback))
      runtime.del(list, attachment)
      world.mustBeClean(before, [...chain.remains, '^pod\\d+ (address|link) .*\\blo\\b'])
      // StopPodSandbox comes again when the namespace has been closed.
      runtime.forget()
      succeeds(world.call('DEL', { ...loopback, env: { ...loopback.env, CNI_NETNS: '' } }))
      runtime.del(list, attachment, '')
    },
  },
  {
    id: 'M03', level: 'DEF', applies: ['bridge'], title: 'CRI-O emulation', needs: ['attach'],
    run(world) {
      const chain = new Chain(world)
      const runtime = new Runtime(world)
      const list = chain.list()
      const args = ['IgnoreUnknown=1', ...kubernetesArgs].join(';')
      const attachment = { pod: world.pod, args, capabilities: wishes }
      runtime.validate(list)
      const before = world.snapshot()
      const result = runtime.add(list, attachment)
      runtime.check(list, attachment)
      const address = mustBeConnected(result, attachment)
      chain.mustWork(world, { version: list.cniVersion, attachment, address })
      runtime.del(list, attachment)
      world.mustBeClean(before, chain.remains)
    },
  },
  {
    id: 'M04', level: 'DEF', applies: ['bridge'], title: 'Multus emulation', needs: ['attach'],
    run(world) {
      const chain = new Chain(world)
      const runtime = new Runtime(world)
      const [mac, ip] = ['02:00:00:00:0d:01', '10.88.0.99']
      const list = chain.list(chain.newest(), { deviceID: '0000:00:04.5', pciBusID: '0000:00:04.5' })
      const attachment: Attachment = {
        pod: world.pod,
        ifname: 'net1',
        args: ['IgnoreUnknown=true', ...kubernetesArgs, 'IgnoreUnknown=1', ...kubernetesArgs].join(';'),
        capabilities: { ips: [ip], mac, CNIDeviceInfoFile: '/run/conformance/devinfo' },
      }
      const before = world.snapshot()
      mustEqual(mustBeConnected(runtime.add(list, attachment), attachment), ip, 'the address of net1')
      mustEqual(world.pod.netns.link('net1')?.address, mac, 'the MAC address of net1')
      runtime.del(list, attachment)
      world.mustBeClean(before, chain.remains)
    },
  },
  {
    id: 'M05', level: 'DEF', applies: ['bridge'], title: 'cnitool emulation', needs: ['attach'],
    run(world) {
      const chain = new Chain(world, [])
      const runtime = new Runtime(world)
      const list = chain.list()
      const id = `cnitool-${createHash('sha512').update(world.pod.netns.path).digest('hex').slice(0, 20)}`
      const attachment = { pod: { ...world.pod, id } }
      const before = world.snapshot()
      mustBeConnected(runtime.add(list, attachment), attachment)
      runtime.check(list, attachment)
      runtime.del(list, attachment)
      world.mustBeClean(before, chain.remains)
      if (!isAtLeast(list.cniVersion, '1.1.0')) return
      runtime.status(list)
      runtime.add(list, attachment)
      // Without a list of attachments libcni deletes every one that it knows.
      runtime.gc(list, undefined)
      world.mustBeClean(before, chain.remains)
    },
  },
  {
    id: 'M11', level: 'DEF', applies: ['bridge'], title: 'real libcni', needs: ['attach'],
    run(world) {
      const { bin, extras: { driver } } = world.subject
      if (!driver) throw new Skip('no program with the real libcni is given with --driver')
      const chain = new Chain(world)
      const list = chain.list()
      const directory = world.path('net.d')
      const { netns } = world.pod
      const cnitool = (verb: string): string => {
        const variables = [`NETCONFPATH=${directory}`, `CNI_PATH=${bin}`, `CAP_ARGS=${JSON.stringify(wishes)}`]
        try {
          return world.host.exec('env', ...variables, driver, verb, list.name, netns.path)
        } catch (error) {
          throw new Failure((error as Error).message)
        }
      }
      mkdirSync(directory)
      writeFileSync(`${directory}/10-conformance.conflist`, JSON.stringify(list))
      const before = world.snapshot()
      mustBeConnected(JSON.parse(cnitool('add')) as JsonObject, { pod: world.pod })
      cnitool('check')
      cnitool('del')
      world.mustBeClean(before, [...chain.remains, '^directory /var/lib/cni/results'])
    },
  },
  {
    id: 'M13', level: 'DEF', applies: ['bridge'], title: 'cache lost', needs: ['attach'],
    run(world) {
      const chain = new Chain(world)
      const runtime = new Runtime(world)
      const list = chain.list()
      const attachment = { pod: world.pod, capabilities: wishes }
      const before = world.snapshot()
      runtime.add(list, attachment)
      runtime.forget()
      runtime.del(list, attachment)
      world.mustBeClean(before, chain.remains)
    },
  },
]
