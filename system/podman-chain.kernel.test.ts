// podman publishes ports of containers on bridge + portmap + firewall + bandwidth + tuning: podman-run(1) --publish.
import { t, test } from 'tap'
import { chainOf, limits, missingOfChain, published, tuned } from './chain.ts'
import { answer, answers, netnsOf } from './conversation.ts'
import type { Cells } from './conversation.ts'
import { leftovers } from './leftovers.ts'
import { privateMachine } from './machine.ts'
import { writeNetwork } from './networks.ts'
import type { Network } from './networks.ts'
import { openOutside, outsideNetns, wire } from './outside.ts'
import { attachment, inContainer, pidOf, removeAll, runOnce, serve, settlePodman, within } from './podman.ts'
import { bucketsOf } from './qdisc.ts'
import { lacking, pluginDirectory } from './requirements.ts'
import { layRootfs } from './rootfs.ts'

t.setTimeout(240_000)

const bridge = { ipMasq: true, hairpinMode: true }

/** A network of the whole chain; the runtime says what is published, the network itself what the limits are. */
const networkOf = (name: string, octet: number): Network =>
  ({ name, octet, cniVersion: '1.0.0', bridge, chained: chainOf(published, limits) })

/** One port by both protocols, a range by both, and one for the machine's own loopback only. */
const publish = [
  '8053:53/tcp', '8053:53/udp', '9000-9002:9100-9102/tcp', '9000-9002:9100-9102/udp', '127.0.0.1:8090:54',
].flatMap(port => ['--publish', port])
const ports = [53, 54, 9100, 9101, 9102]

/** What is to answer at a published address. */
const openAt = (address: string): Cells => Object.fromEntries(
  ([[8053, 53], [9000, 9100], [9001, 9101], [9002, 9102]] as const).flatMap(([outer, inner]) =>
    [[`tcp ${address} ${outer}`, inner], [`udp ${address} ${outer}`, inner]]))

const programs = ['podman', 'crun', 'conmon', 'tc', 'conntrack']

test('podman and the whole chain', { skip: lacking(...programs) || missingOfChain }, async t => {
  const machine = await privateMachine(t, pluginDirectory)
  layRootfs(machine)
  const unable = settlePodman(machine)
  if (unable) {
    t.plan(0, unable)
    return
  }
  openOutside(machine)
  const [outside, host] = [machine.path(outsideNetns), netnsOf(machine, 1)]
  const onWire: Cells = { ...openAt(wire.machine[0]), ...openAt(wire.machine[1]) }

  t.test('published ports lead to the container from everywhere', async t =>
    within(t, machine, networkOf('port', 1), async () => {
      const a = serve(machine, 'a', '--network', 'port', ...publish)
      const b = serve(machine, 'b', '--network', 'port')
      const [inA, inB] = [a, b].map(name => netnsOf(machine, pidOf(machine, name))) as [string, string]
      await answer(t, inA, ...ports)
      const closed: Cells = {
        [`tcp ${wire.machine[0]} 8090`]: null, [`tcp ${wire.machine[0]} 54`]: null, [`udp ${wire.machine[1]} 53`]: null,
      }
      const local: Cells = { ...openAt('127.0.0.1'), 'tcp 127.0.0.1 8090': 54 }
      for (const [place, netns, expected] of [
        ['outside', outside, { ...onWire, ...closed }],
        ['the machine', host, { ...onWire, ...local }],
        ['a neighbour', inB, onWire],
        ['itself', inA, onWire],
      ] as const)
        await answers(t, netns, expected, place)
    }, ...publish))

  t.test('limits and settings arrive, and stay when podman sets the network up again', async t =>
    within(t, machine, networkOf('shaped', 2), async () => {
      const a = serve(machine, 'a', '--network', 'shaped', ...publish)
      await answer(t, netnsOf(machine, pidOf(machine, a)), ...ports)
      const arrived = async (when: string): Promise<void> => {
        t.same(bucketsOf(machine), [limits.ingressRate, limits.egressRate], `limits ${when}`)
        const link = machine.run(...inContainer(a), 'ip', 'link', 'show', 'dev', 'eth0')
        t.match(link, `mtu ${tuned.mtu} `, `MTU ${when}`)
        const [name = '', value] = Object.entries(tuned.sysctl)[0] ?? []
        const file = `/proc/sys/${name.replaceAll('.', '/')}`
        t.equal(machine.run(...inContainer(a), 'cat', file), value, `sysctl ${when}`)
        await answers(t, outside, onWire, `ports ${when}`)
      }
      await arrived('at first')
      // podman's conmon listens on the host's ports by now. It must not count as somebody else who holds them.
      machine.run('podman', 'network', 'reload', a)
      await arrived('after a reload')
      machine.run('nft', 'flush', 'ruleset')
      machine.run('podman', 'network', 'reload', a)
      await arrived('after the firewall was flushed and the network reloaded')
    }, ...publish))

  t.test('a container publishes its port by two networks', async t =>
    within(t, machine, networkOf('first', 3), async () => {
      const second = networkOf('second', 4)
      writeNetwork(machine, second)
      const cells = openAt(wire.machine[0])
      const reached = (when: string): Promise<void> => answers(t, outside, cells, when)
      const a = serve(machine, 'a', '--network', 'first', ...publish)
      await answer(t, netnsOf(machine, pidOf(machine, a)), ...ports)
      machine.run('podman', 'network', 'connect', 'second', a)
      t.match(attachment(machine, a, 'second')[0], /^10\.77\.4\./)
      await reached('by both')
      machine.run('podman', 'network', 'disconnect', 'first', a)
      await reached('by the second one')
      machine.run('podman', 'network', 'connect', 'first', a)
      machine.run('podman', 'network', 'disconnect', 'second', a)
      await reached('by the first one')
      machine.run('ip', 'link', 'delete', 'bridge4')
    }, ...publish))

  t.test('a port that another container has is refused', async t =>
    within(t, machine, networkOf('taken', 5), async () => {
      const a = serve(machine, 'a', '--network', 'taken', ...publish)
      await answer(t, netnsOf(machine, pidOf(machine, a)), ...ports)
      const before = leftovers(machine)
      const other = ['--network', 'taken', '--publish', '7000:80', '--publish', '8053:53/udp']
      t.throws(() => runOnce(machine, other, 'true'), { message: /8053/ }, 'the error names the port')
      t.same(leftovers(machine), before, 'as before the failure')
      await answers(t, outside, onWire, 'and the first one keeps its own')
    }, ...publish))

  t.test('datagrams of a client go to the next container on the port', async t =>
    within(t, machine, networkOf('next', 6), async () => {
      const known = (): string => machine.run('conntrack', '-L', '-p', 'udp', '--orig-port-dst', '8053')
      const udp: Cells = { [`udp ${wire.machine[0]} 8053`]: 53 }
      for (const name of ['a', 'b']) {
        serve(machine, name, '--network', 'next', ...publish)
        await answer(t, netnsOf(machine, pidOf(machine, name)), ...ports)
        await answers(t, outside, udp, name)
        t.not(known(), '', 'the connection is tracked')
        removeAll(machine)
        t.equal(known(), '', 'and forgotten with its container')
      }
    }, ...publish))

  t.test('a bridge network of podman\'s own making', async t => {
    const subnets = ['--subnet', '10.77.7.0/24', '--subnet', 'fd77:7::/64', '--ipv6']
    machine.run('podman', 'network', 'create', '--opt', 'isolate=true', ...subnets, 'own')
    t.teardown(() => {
      removeAll(machine)
      machine.run('podman', 'network', 'rm', 'own')
    })
    const life = async (name: string): Promise<void> => {
      serve(machine, name, '--network', 'own', ...publish)
      const netns = netnsOf(machine, pidOf(machine, name))
      await answer(t, netns, ...ports)
      for (const [place, from] of [['outside', outside], ['the machine', host], ['itself', netns]] as const)
        await answers(t, from, onWire, `${name}: ${place}`)
      removeAll(machine)
    }
    await life('first')
    const before = leftovers(machine)
    await life('second')
    t.same(leftovers(machine), before, 'nothing is left')
  })
})
