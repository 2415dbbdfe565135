// containerd publishes, guards, limits and tunes pods (CRI) and containers (ctr run --cni) by a whole chain of plugins.
import { t, test } from 'tap'
import { chainOf, limits, missingOfChain, published, tuned } from './chain.ts'
import { inContainer, pidOf, serve, socket, startContainerd } from './containerd.ts'
import { answer, answers, netnsOf } from './conversation.ts'
import type { Cells } from './conversation.ts'
import { RuntimeService } from './cri.ts'
import { importImage } from './image.ts'
import { leftovers, opened } from './leftovers.ts'
import { privateMachine } from './machine.ts'
import { bridgeOf, writeNetwork } from './networks.ts'
import { dropForwarded, openOutside, outsideNetns, wire } from './outside.ts'
import { bucketsOf } from './qdisc.ts'
import { lacking, pluginDirectory } from './requirements.ts'
import { layRootfs } from './rootfs.ts'

t.setTimeout(240_000)
const image = 'localhost/harbour:1'
const bridge = { ipMasq: true, hairpinMode: true }
const shaped = { capabilities: { bandwidth: true } }
const network = { name: 'quay', octet: 1, cniVersion: '1.0.0', bridge, chained: chainOf(published, shaped) }

/** What an administrator publishes by hand for `ctr`, which has no option for it. */
const byHand = {
  runtimeConfig: { portMappings: [{ hostPort: 8070, containerPort: 53, protocol: 'tcp' }] },
}

const pod = {
  name: 'pod',
  ports: [
    { hostPort: 8080, containerPort: 53 },
    { hostPort: 8080, containerPort: 54, protocol: 'udp' },
    { hostPort: 8090, containerPort: 55, hostIp: '127.0.0.1' },
    { hostPort: 8091, containerPort: 55, hostIp: wire.machine[0], protocol: 'udp' },
  ],
  annotations: { 'kubernetes.io/ingress-bandwidth': '70M', 'kubernetes.io/egress-bandwidth': '30M' },
} as const
const ports = [53, 54, 55]

/** What answers at the machine's addresses on the wire. */
const everywhere: Cells = {
  ...Object.fromEntries(wire.machine.flatMap(address => [[`tcp ${address} 8080`, 53], [`udp ${address} 8080`, 54]])),
  [`udp ${wire.machine[0]} 8091`]: 55,
}

test('containerd and the whole chain', { skip: lacking('containerd', 'ctr', 'crun', 'tar', 'tc') || missingOfChain },
  async t => {
  const machine = await privateMachine(t, pluginDirectory)
  layRootfs(machine)
  writeNetwork(machine, network)
  const unable = startContainerd(machine, image)
  if (unable) {
    t.plan(0, unable)
    return
  }
  importImage(machine, image)
  openOutside(machine)
  dropForwarded(machine)
  const [outside, host] = [machine.path(outsideNetns), netnsOf(machine, 1)]
  const runtime = new RuntimeService(machine.path(socket))
  t.teardown(() => runtime.close())
  const inPod = (id: string): string => netnsOf(machine, pidOf(machine, id, 'k8s.io'))

  t.test('a first pod leaves the bridge and what is shared', async t => {
    const empty = leftovers(machine)
    const id = await runtime.run(pod)
    const addresses = await runtime.addresses(id)
    await runtime.remove(id)
    opened(t, machine, empty, bridgeOf(network), addresses)
  })

  t.test('host ports and annotations of a pod arrive', async t => {
    const before = leftovers(machine)
    const id = await runtime.run(pod)
    await answer(t, inPod(id), ...ports)
    t.same(bucketsOf(machine), [70_000_000, 30_000_000], 'both limits')
    const link = machine.run(...inContainer(machine, id, 'k8s.io'), 'ip', 'link', 'show', 'dev', 'eth0')
    t.match(link, `mtu ${tuned.mtu} `)
    await answers(t, outside, { ...everywhere, [`tcp ${wire.machine[0]} 8090`]: null }, 'outside')
    const loopback: Cells = {
      'tcp 127.0.0.1 8080': 53, 'udp 127.0.0.1 8080': 54, 'tcp 127.0.0.1 8090': 55, 'udp 127.0.0.1 8091': null,
    }
    await answers(t, host, { ...everywhere, ...loopback }, 'the machine')
    await answers(t, inPod(id), everywhere, 'itself')
    await runtime.stop(id)
    t.same(leftovers(machine), before, 'nothing is left once it has stopped')
    await runtime.stop(id)
    await runtime.remove(id)
    t.same(leftovers(machine), before, 'nothing is left')
  })

  t.test('a pod goes whose cached result and namespace are lost', async t => {
    const before = leftovers(machine)
    const id = await runtime.run(pod)
    machine.run('rm', '-r', '/var/lib/cni/results')
    machine.run('ctr', '--namespace', 'k8s.io', 'task', 'kill', '--signal', 'KILL', id)
    const [netns = ''] = leftovers(machine).files.filter(file => file.startsWith('/run/netns/cni-'))
    machine.run('umount', netns)
    machine.run('rm', netns)
    await runtime.remove(id)
    t.same(leftovers(machine), before, 'nothing is left')
  })

  t.test('a port that another pod has is refused', async t => {
    const before = leftovers(machine)
    const id = await runtime.run(pod)
    const during = leftovers(machine)
    const [port] = pod.ports
    await t.rejects(runtime.run({ name: 'late', ports: [{ ...port, hostPort: 7000 }, port] }), { message: /8080/ })
    t.same(leftovers(machine), during, 'as before the failure')
    await answer(t, inPod(id), ...ports)
    await answers(t, outside, everywhere, 'and the first one keeps its own')
    await runtime.remove(id)
    t.same(leftovers(machine), before, 'nothing is left')
  })

  t.test('a container of ctr', async t => {
    machine.run('rm', '/etc/cni/net.d/1-quay.conflist')
    const before = leftovers(machine)
    const onWire: Cells = Object.fromEntries(wire.machine.map(address => [`tcp ${address} 8070`, 53]))
    const alone = { ...network, name: 'jetty', octet: 2, chained: chainOf(byHand, limits) }
    writeNetwork(machine, alone)
    const life = async (name: string): Promise<string[]> => {
      const container = serve(machine, name)
      await answer(t, netnsOf(machine, pidOf(machine, name)), ...ports)
      t.same(bucketsOf(machine), [limits.ingressRate, limits.egressRate], `${name}: both limits`)
      await answers(t, outside, onWire, `${name}: outside`)
      const addresses = container.addresses()
      await container.kill()
      return addresses
    }
    const opening = opened(t, machine, before, bridgeOf(alone), await life('first'))
    await life('second')
    t.same(leftovers(machine), opening, 'nothing is left')
  })
})
