// 50 pods at once, each with a published port and limits: all are reached, and nothing of them stays.
import { t, test } from 'tap'
import { chainOf, missingOfChain, published } from './chain.ts'
import { socket, startContainerd } from './containerd.ts'
import { RuntimeService } from './cri.ts'
import type { Pod } from './cri.ts'
import { importImage } from './image.ts'
import { leftovers, opened } from './leftovers.ts'
import { privateMachine } from './machine.ts'
import { bridgeOf, writeNetwork } from './networks.ts'
import { openOutside, outside, wire } from './outside.ts'
import { bucketsOf } from './qdisc.ts'
import { lacking, pluginDirectory } from './requirements.ts'
import { layRootfs } from './rootfs.ts'

t.setTimeout(300_000)
const image = 'localhost/harbour:1'
const chained = chainOf(published, { capabilities: { bandwidth: true } })
const network = { name: 'quay', octet: 1, cniVersion: '1.0.0', bridge: { ipMasq: true }, chained }

const crowd: readonly Pod[] = Array.from({ length: 50 }, (_, index) => ({
  name: `pod${index}`,
  ports: [{ hostPort: 10_000 + index, containerPort: 80 }],
  annotations: { 'kubernetes.io/ingress-bandwidth': '70M', 'kubernetes.io/egress-bandwidth': '30M' },
}))

test('50 pods at once', { skip: lacking('containerd', 'ctr', 'crun', 'tar', 'tc') || missingOfChain }, async t => {
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
  const runtime = new RuntimeService(machine.path(socket))
  t.teardown(() => runtime.close())

  /** The address of the pod behind each published port, IPv4 or IPv6. */
  const behind = (address: string): string[] => {
    const host = address.includes(':') ? `[${address}]` : address
    const fetches = crowd.flatMap(({ ports = [] }) => ports).map(({ hostPort }) =>
      `${outside.join(' ')} timeout 5 wget -qO- http://${host}:${hostPort}/cgi-bin/where || echo silence`)
    return machine.run('sh', '-c', fetches.join('\n')).split('\n')
  }

  const empty = leftovers(machine)
  const [first] = crowd
  if (!first) throw new Error('a crowd of none')
  const id = await runtime.run(first)
  const addresses = await runtime.addresses(id)
  await runtime.remove(id)
  const before = opened(t, machine, empty, bridgeOf(network), addresses)

  let begun = Date.now()
  const time = (what: string): void => {
    t.comment(`${what}: ${((Date.now() - begun) / 1000).toFixed(1)} s`)
    begun = Date.now()
  }
  const ids = await Promise.all(crowd.map(pod => runtime.run(pod)))
  time('all run')
  const given = await Promise.all(ids.map(id => runtime.addresses(id)))
  t.equal(new Set(given.flat()).size, 2 * crowd.length, 'an IPv4 and an IPv6 address for each')
  const limits = crowd.flatMap(() => [70_000_000]).concat(crowd.flatMap(() => [30_000_000]))
  t.same(bucketsOf(machine), limits, 'limits for each')
  const own = given.map(([ipv4]) => ipv4)
  for (const address of wire.machine) t.same(behind(address), own, `the ports at ${address} lead each to its own pod`)
  time('all were asked')
  await Promise.all(ids.map(id => runtime.stop(id)))
  time('all are stopped')
  t.same(leftovers(machine), before, 'nothing is left once they have stopped')
  await Promise.all(ids.map(id => runtime.discard(id)))
  time('all are removed')
  t.same(leftovers(machine), before, 'nothing is left')
})
