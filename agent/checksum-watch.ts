// Finds out, now and then and with few packets, whether the network card computes the checksums of what this host sends
// into its tunnels, and has this host compute them where it does not; and answers the others who want to know that.
import { setChecksumOffload } from '#net/offload.ts'
import { Knock, ProbeSocket } from '#net/probe-socket.ts'
import { familyOf } from '#netlink/ip.ts'
import { nthAddress, parsePrefix } from '#net/prefix.ts'
import { errnoOf, tolerate } from '#sys/errno.ts'
import { ChecksumTrial, type Means, type Outcome, type Target } from './checksum-trial.ts'
import type { LocalNetwork } from './local-network.ts'
import type { OverlayHost } from './overlay-host.ts'
import { PROBE_PORT, PROBE_SIZE, readProbe, writeProbe } from './probe.ts'

/** How many hosts are asked at a time, and on how many of their blocks: a host has its address in one of them. */
const [TARGETS, BLOCKS] = [3, 4]
/** How many datagrams are looked at in a turn: more than that many nobody honest sends. */
const PER_TURN = 64
/** Milliseconds to the next trial: after one that has shown something, and the least and most after another one. */
const [LATER, SOON, AT_LAST] = [3_600_000, 2000, 600_000]

const shuffled = <T>(items: readonly T[]): T[] =>
  items.map(item => ({ item, rank: Math.random() })).sort((a, b) => a.rank - b.rank).map(({ item }) => item)

const isBlock = (prefix: string): boolean => !prefix.endsWith(familyOf(prefix) === 'ipv4' ? '/32' : '/128')

/** Where this host listens in a network; without a socket where it cannot. */
interface Place { readonly link: number; readonly address: string; readonly socket: ProbeSocket | undefined }

export class ChecksumWatch implements Disposable {
  readonly #here: OverlayHost
  readonly #places = new Map<string, Place>()
  #trial: ChecksumTrial | undefined
  /** The network that it goes through. */
  #through: string | undefined
  #underlay: number
  #next = 0
  #pause = SOON
  /** How many hosts there were at the last trial that has shown nothing. */
  #silent = Infinity
  trials = 0

  constructor(here: OverlayHost) {
    this.#here = here
    this.#underlay = here.underlay.index
  }

  /** At the start: what an agent before this one, or somebody else, has decided holds until the host reboots. */
  begin(): void {
    const { checksums, host } = this.#here
    const devices = this.#devices
    if (checksums.wish !== 'auto' || !checksums.isOffAt(host, devices)) return
    checksums.decide(host, devices, true)
    this.#here.say('this host computes the checksums of what it sends into its tunnels, as before')
  }

  /** @param now in milliseconds, of a clock that is never set */
  turn(now: number): void {
    this.#look()
    for (const place of this.#places.values()) this.#listen(place)
    if (this.#here.checksums.wish !== 'auto') return
    if (this.#here.underlay.index !== this.#underlay) this.#startOver()
    const outcome = this.#trial?.step()
    if (outcome !== undefined) this.#conclude(outcome, now)
    if (this.#trial === undefined) this.#tryIfDue(now)
  }

  [Symbol.dispose](): void {
    this.#endTrial()
    for (const { socket } of this.#places.values()) socket?.[Symbol.dispose]()
    this.#places.clear()
  }

  get #devices(): readonly string[] { return this.#here.networks.overVxlan.flatMap(({ device }) => device?.name ?? []) }

  /** Has a socket in each network, at the address and on the device that it has now. */
  #look(): void {
    const locals = new Map(this.#here.networks.overVxlan.map(local => [local.name, local]))
    for (const [name, place] of this.#places) {
      const device = locals.get(name)?.device
      if (device?.index === place.link && device.address === place.address) continue
      if (this.#through === name) this.#endTrial()
      place.socket?.[Symbol.dispose]()
      this.#places.delete(name)
    }
    for (const local of locals.values()) if (!this.#places.has(local.name)) this.#open(local)
  }

  #open({ name, device }: LocalNetwork): void {
    if (device?.address === undefined) return
    const { index: link, address } = device
    let socket: ProbeSocket | undefined
    try {
      socket = new ProbeSocket(this.#here.host, { link, address, port: PROBE_PORT })
    } catch (error) {
      if (!['EADDRINUSE', 'EADDRNOTAVAIL', 'ENODEV'].includes(errnoOf(error) ?? '')) throw error
      const why = `UDP port ${PROBE_PORT} on ${address}: ${errnoOf(error)}`
      this.#here.say(`network ${name}: checksum offload is not tested: ${why}`)
    }
    this.#places.set(name, { link, address, socket })
  }

  #listen({ socket }: Place): void {
    for (const { data, from } of socket?.received(PROBE_SIZE + 1, PER_TURN) ?? []) {
      const own = (): string | undefined => (this.#here.member?.memory ?? this.#here.keeper.read())?.token
      const probe = readProbe(data, ({ kind, nonce }) => kind === 'answer' ? this.#trial?.tokenOf(nonce) : own())
      if (probe?.kind === 'answer') this.#trial?.hear(from.address, probe.nonce, probe.hasChecksum)
      // Without a checksum: whether ours arrive is not what is asked.
      else if (probe) socket?.send(writeProbe({ ...probe, kind: 'answer' }, own()!), from, { checksum: false })
    }
  }

  /** Another card. */
  #startOver(): void {
    const { checksums, host, underlay } = this.#here
    this.#endTrial()
    this.#underlay = underlay.index
    this.#next = 0
    if (checksums.isOff) checksums.decide(host, this.#devices, false)
  }

  #tryIfDue(now: number): void {
    const { checksums, picture } = this.#here
    const isDue = now >= this.#next || picture.hostCount > this.#silent
    if (!isDue || checksums.isOff || picture.hostCount < 2) return
    for (const local of shuffled(this.#here.networks.overVxlan)) {
      const socket = this.#places.get(local.name)?.socket
      const targets = socket && this.#targetsIn(local.name, socket.own.address)
      if (targets === undefined || targets.length === 0) continue
      this.trials++
      this.#through = local.name
      this.#trial = new ChecksumTrial(targets, this.#means(local.device!.name, socket!))
      return
    }
    this.#next = now + SOON
    this.#silent = picture.hostCount
  }

  #targetsIn(network: string, own: string): readonly Target[] {
    const { picture, settings } = this.#here
    const known = picture.networks.get(network)
    const living = [...known?.hosts ?? []].filter(host => host !== settings.hostId && picture.attended.has(host))
    return shuffled(living).slice(0, TARGETS).flatMap(host => {
      const token = picture.tokenOf(host)
      const blocks = known!.prefixesOf(host).filter(one => isBlock(one) && familyOf(one) === familyOf(own))
      const addresses = shuffled(blocks).slice(0, BLOCKS).map(block => nthAddress(parsePrefix(block)!, 0))
      return token === undefined || addresses.length === 0 ? [] : [{ host, token, addresses }]
    })
  }

  #means(device: string, socket: ProbeSocket): Means {
    const { host } = this.#here
    return {
      ask({ token }, address, nonce, hasChecksum) {
        const data = writeProbe({ kind: 'question', hasChecksum, nonce }, token)
        socket.send(data, { address, port: PROBE_PORT }, { checksum: hasChecksum })
      },
      // Over IPv4 the kernel computes the checksum of a refusal itself (ip_send_unicast_reply), over IPv6 it does not.
      knock: address => familyOf(address) === 'ipv6' ? undefined
        : new Knock(host, { ...socket.own, port: 0 }, { address, port: PROBE_PORT }),
      setOffload: on => { tolerate(['ENODEV'], () => setChecksumOffload(host, device, on)) },
    }
  }

  #conclude(outcome: Outcome, now: number): void {
    const { checksums, host, picture } = this.#here
    this.#endTrial()
    const isSilent = outcome.kind === 'silent'
    this.#silent = isSilent ? picture.hostCount : Infinity
    this.#next = now + (isSilent ? this.#pause : LATER)
    this.#pause = isSilent ? Math.min(2 * this.#pause, AT_LAST) : SOON
    if (outcome.kind !== 'broken') return
    checksums.decide(host, this.#devices, true)
    this.#here.say(`host ${outcome.host} gets no packets whose checksum is left to the network card: ` +
      'checksum offload is off on the tunnels of this host')
  }

  #endTrial(): void {
    this.#trial?.[Symbol.dispose]()
    this.#trial = undefined
    this.#through = undefined
  }
}
