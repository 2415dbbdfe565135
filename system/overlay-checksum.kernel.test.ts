// Hosts whose network cards leave checksums inside of tunnels out: what that breaks, and what the agents make of it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import type { Namespace } from '#net/namespace.ts'
import { offloadsChecksums, setChecksumOffload } from '#net/offload.ts'
import { nthAddress, parsePrefix } from '#net/prefix.ts'
import { ask, serve } from '../tools/conversation.ts'
import { connectFaultily } from '../tools/faulty-card.ts'
import { eventually, fairlead, Fleet, type FleetHost, type Pod } from '../tools/fleet.ts'
import { httpAnswers } from '../tools/http-answers.ts'
import { connect, kernelLacks, lacks, output, ownNamespace, pings, reaches } from '../tools/kernel.ts'
import { enterPrivateNamespaces } from '../tools/privacy.ts'

const skip = lacks('setpriv') || lacks('ping') || lacks('tcpdump') || kernelLacks('vxlan')
if (!skip) enterPrivateNamespaces()

type Test = Parameters<typeof serve>[0]

const breakCards = async (t: Test, own: Namespace): Promise<() => void> => {
  for (const port of ['p1', 'p2']) own.link.set(own.link.get(port).index, { master: 0 })
  return await connectFaultily(t, own, 'p1', 'p2')
}

interface Wish { readonly faulty: boolean; readonly offload?: string; readonly underlay?: string }

/** Two hosts with an agent and a container each. */
const start = async (t: Test & Parameters<typeof ownNamespace>[0], { faulty, offload, underlay = 'ipv4' }: Wish) => {
  const own = ownNamespace(t)
  const store = mkdtempSync('/run/store-')
  const options = ['--metrics', '127.0.0.1:9477', ...offload === undefined ? [] : ['--checksum-offload', offload]]
  const fleet = new Fleet(t, own, 2, { store, underlay, options })
  const mend = faulty ? await breakCards(t, own) : () => undefined
  fairlead('overlay', 'create', 'blue', '--subnet', '10.200.0.0/16', '--store', store)
  const begin = performance.now()
  for (const host of fleet.hosts) await host.start()
  for (const host of fleet.hosts) await host.insist({ op: 'join', network: 'blue' })
  const pods = fleet.hosts.map(host => host.attach('blue')) as [Pod, Pod]
  await serve(t, pods[1].ns, 80)
  return { own, hosts: fleet.hosts as readonly [FleetHost, FleetHost], pods, mend, begin }
}

/** Whether one container reaches the other by TCP and by UDP. */
const talk = async ([from, to]: readonly [Pod, Pod], port = 80): Promise<readonly boolean[]> => {
  const questions = (['tcp', 'udp'] as const).map(protocol => ({ protocol, address: to.addresses[0]!, port }))
  return (await ask(from.ns, questions)).map(answer => answer?.port === 80)
}

const offloads = (host: FleetHost): boolean => offloadsChecksums(host.ns, host.run('blue')!.device)

const look = 'fetch("http://127.0.0.1:9477/metrics").then(answer => answer.text()).then(console.log, () => {})'
/** NaN while the agent serves none yet. */
const metric = ({ ns }: FleetHost, name: string): number =>
  Number(new RegExp(`^fairlead_overlay_${name} (.*)$`, 'm').exec(output(ns, process.execPath, ['-e', look]))?.[1])

const DECIDED = 'checksum offload is off'

void test('cards that do not compute what is inside of tunnels', { skip }, async t => {
  await t.test('checksum-offload on: nothing but ping works', async t => {
    const { hosts, pods } = await start(t, { faulty: true, offload: 'on' })
    const [, second] = hosts
    t.ok(reaches(pods[0].ns, pods[1].addresses[0]!))
    const witness = second.ns.run(() => spawn('tcpdump', ['-l', '-nvvi', 'eth0', 'udp port 4789'],
      { stdio: ['ignore', 'pipe', 'ignore'] }))
    let seen = ''
    witness.stdout.setEncoding('utf8').on('data', text => { seen += String(text) })
    await eventually('checksums are seen to be wrong', async () => {
      t.same(await talk(pods), [false, false])
      return /Flags \[S\], cksum \S+ \(incorrect/.test(seen) && /bad udp cksum .*!\] UDP, length 1/.test(seen)
    })
    witness.kill()
    await once(witness, 'exit')
    t.ok(hosts.every(offloads))
    t.equal(metric(second, 'checksum_trials_total'), 0)
    t.equal(metric(second, 'checksum_offload'), 1)
  })

  for (const underlay of ['ipv4', 'ipv6'])
    await t.test(`auto, over ${underlay}: found out within seconds`, async t => {
      const { own, hosts, pods, mend, begin } = await start(t, { faulty: true, underlay })
      const [first] = hosts
      await eventually('both hosts compute checksums', () => !hosts.some(offloads), 40_000)
      t.comment(`found out ${Math.round(performance.now() - begin)} ms after the first agent was started`)
      t.same(await talk(pods), [true, true])
      t.ok(await httpAnswers(pods[0].ns, pods[1].ns, pods[1].addresses[0]!))
      await eventually('it is told', () => first.log.includes(DECIDED))
      t.equal(metric(first, 'checksum_offload'), 0)
      t.match(await first.ask({ op: 'status' }), { checksumOffload: 'off' })
      if (underlay === 'ipv6') return

      const { device } = first.run('blue')!
      output(first.ns, 'ip', ['link', 'del', device])
      await eventually('the device is made again, and so',
        () => first.ns.link.find(device) !== undefined && !offloads(first))
      setChecksumOffload(first.ns, device, true)
      await eventually('somebody else has no say', () => !offloads(first), 45_000)
      await first.stop()
      await first.start()
      t.same(await talk(pods), [true, true], 'the next agent leaves it so')
      await eventually('nothing is left to try', () => metric(first, 'checksum_trials_total') === 0)
      t.equal(first.log.split(DECIDED).length, 2, 'said once')
      t.match(first.log, 'as before')

      mend()
      for (const [i, { ns }] of hosts.entries()) {
        own.link.remove(`p${i + 1}`)
        const addresses = [`192.0.2.${i + 1}/24`, `2001:db8::${i + 1}/64`]
        connect({ ns: own, name: `p${i + 1}`, addresses: [], master: own.link.get('sw').index },
          { ns, name: 'eth0', addresses })
      }
      await eventually('another card is given another chance', () => hosts.every(offloads), 40_000)
      await eventually('containers talk', async () => (await talk(pods)).every(Boolean), 40_000)
      await eventually('it is tested', () => hosts.every(host => metric(host, 'checksum_trials_total') > 0), 40_000)
      await setTimeout(5000)
      t.ok(hosts.every(offloads))
    })
})

void test('sound cards', { skip }, async t => {
  const { hosts, pods } = await start(t, { faulty: false })
  const [first, second] = hosts
  await eventually('both have tried', () => hosts.every(host => metric(host, 'checksum_trials_total') > 0))
  await setTimeout(5000)
  t.ok(hosts.every(offloads))
  const trials = metric(first, 'checksum_trials_total')
  t.comment(`${trials} trials`)
  t.notMatch(first.log, DECIDED)
  const [block = ''] = first.run('blue')!.blocks
  const address = nthAddress(parsePrefix(block)!, 0)
  t.ok(pings(pods[1].ns, address))
  for (const from of pods) t.same(await ask(from.ns, [{ protocol: 'udp', address, port: 9478 }]), [undefined])

  await second.stop()
  await first.stop()
  await first.start()
  await eventually('a silent host is tried', () => metric(first, 'checksum_trials_total') > 1, 40_000)
  await setTimeout(3000)
  t.ok(offloads(first), 'which says nothing about cards')
  t.notMatch(first.log, DECIDED)
})

void test('checksum-offload off', { skip }, async t => {
  const { hosts, pods } = await start(t, { faulty: true, offload: 'off' })
  const [first] = hosts
  t.notOk(hosts.some(offloads))
  t.same(await talk(pods), [true, true])
  const { device } = first.run('blue')!
  output(first.ns, 'ip', ['link', 'del', device])
  await eventually('the device is made again, and so',
    () => first.ns.link.find(device) !== undefined && !offloads(first))
  t.equal(metric(first, 'checksum_trials_total'), 0)
})
