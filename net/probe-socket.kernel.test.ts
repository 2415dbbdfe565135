// Probes and containers' packets inside of a tunnel, over a sound cable and over cards that leave checksums out.
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import { ask, serve } from '#tools/conversation.ts'
import { connectFaultily } from '#tools/faulty-card.ts'
import { kernelLacks, lacks, ownNamespace, reaches } from '#tools/kernel.ts'
import { Lab, type LabHost } from '#tools/lab.ts'
import { nthAddress, parsePrefix } from './prefix.ts'
import { setChecksumOffload } from './offload.ts'
import { ensureOverlay } from './overlay.ts'
import { tunnelName } from './overlay-tunnel.ts'
import { Knock, ProbeSocket } from './probe-socket.ts'

const skip = lacks('setpriv') || kernelLacks('vxlan')
const PORT = 9478
const SIZE = 32
const ATTEMPTS = 30

const text = new TextEncoder()
const words = new TextDecoder()

const socketOf = ({ ns, overlay }: LabHost, family: 'ipv4' | 'ipv6'): ProbeSocket => {
  const [address] = overlay.addresses[family === 'ipv4' ? 0 : 1]!.split('/') as [string]
  return new ProbeSocket(ns, { address, port: PORT, link: ns.link.get(tunnelName(overlay.vni)).index })
}

/** What comes through: a datagram with a checksum, one without, the answer to a knock. */
const arrivals = async (from: LabHost, to: LabHost, family: 'ipv4' | 'ipv6'): Promise<readonly string[]> => {
  using sender = socketOf(from, family)
  using receiver = socketOf(to, family)
  using knock = new Knock(from.ns, { ...sender.own, port: 0 }, receiver.own)
  const seen = new Set<string>()
  for (let i = 0; i < ATTEMPTS && seen.size < 3; i++) {
    for (const checksum of [true, false])
      sender.send(text.encode(checksum ? 'with' : 'without'), receiver.own, { checksum })
    await setTimeout(50)
    for (const { data } of receiver.received(SIZE, 64)) seen.add(words.decode(data))
    if (knock.isAnswered) seen.add('knock')
  }
  return [...seen].sort()
}

const protocols = ['tcp', 'udp'] as const

void test('what comes through a tunnel', { skip }, async t => {
  ownNamespace(t)
  const lab = new Lab(t, 2, 'ipv4')
  const [one, other] = lab.hosts as [LabHost, LabHost]
  for (const host of lab.hosts)
    ensureOverlay(host.ns, host.overlay, lab.hosts.filter(peer => peer !== host).map(({ peer }) => peer))
  const podAddress = other.peer.prefixes.map(prefix => nthAddress(parsePrefix(prefix)!, 2))
  await serve(t, other.pod, 80)
  const answers = async () => (await ask(one.pod, podAddress.flatMap(address =>
    protocols.map(protocol => ({ protocol, address, port: 80 }))))).map(answer => answer?.port)
  const offload = (host: LabHost, on: boolean) => setChecksumOffload(host.ns, tunnelName(host.overlay.vni), on)

  t.same(await arrivals(one, other, 'ipv4'), ['knock', 'with', 'without'])
  t.same(await arrivals(one, other, 'ipv6'), ['knock', 'with', 'without'])
  t.same(await answers(), [80, 80, 80, 80])

  for (const port of ['p1', 'p2']) lab.switch.link.set(lab.switch.link.get(port).index, { master: 0 })
  await connectFaultily(t, lab.switch, 'p1', 'p2')
  for (const address of podAddress) t.ok(reaches(one.pod, address), 'ping computes its own checksums')
  t.same(await arrivals(one, other, 'ipv4'), ['without'])
  t.same(await arrivals(one, other, 'ipv6'), ['without'])
  t.same(await answers(), [undefined, undefined, undefined, undefined])

  offload(one, false)
  t.same(await arrivals(one, other, 'ipv4'), ['knock', 'with', 'without'], 'refusals have checksums of their own')
  t.same(await arrivals(other, one, 'ipv4'), ['without'])
  offload(other, false)
  for (const [from, to] of [[one, other], [other, one]] as const)
    for (const family of ['ipv4', 'ipv6'] as const)
      t.same(await arrivals(from, to, family), ['knock', 'with', 'without'])
  t.same(await answers(), [80, 80, 80, 80], 'what is routed into the tunnel has checksums, too')
})

void test('who has the port already', { skip }, async t => {
  const host = ownNamespace(t)
  host.addr.add({ index: 1, address: '10.5.0.0/32' })
  const own = { address: '10.5.0.0', port: PORT, link: 1 }
  using first = new ProbeSocket(host, own)
  t.throws(() => new ProbeSocket(host, own), { code: 'EADDRINUSE' })
  t.throws(() => new ProbeSocket(host, { ...own, address: '10.5.0.1' }), { code: 'EADDRNOTAVAIL' })
  first.send(text.encode('to nowhere'), { address: '10.9.9.9', port: 1 }, { checksum: true })
  t.same([...first.received(SIZE, 1)], [])
  using knock = new Knock(host, { ...own, port: 0 }, { address: '10.9.9.9', port: 1 })
  t.notOk(knock.isAnswered, 'there is no way')
})
