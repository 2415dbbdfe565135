// Addresses for one attachment, from the blocks of this host or claimed one by one.
import { capacity } from '../address-range.ts'
import type { Add } from '../driver.ts'
import { CniError, codes } from '../errors.ts'
import type { Json } from '../json.ts'
import type { RequestedIp } from '../requested-ips.ts'
import type { Result } from '../result.ts'
import { familyOf } from '#netlink/ip.ts'
import { familiesOf, foreignTo, handedOut, hostLocalConfig, isOurs } from './addresses.ts'
import { giveBack, request } from './agent.ts'
import type { Agreement, Request } from './agent-socket.ts'
import { current, joined, type Part } from './part.ts'
import type { RunFile } from './run-file.ts'

type Subject = Pick<Add<unknown>, 'containerId' | 'ifName' | 'delegate' | 'undo'>

/** What an attachment wants. */
export interface Wish {
  /** Where addresses are recorded. */
  readonly dataDir: string
  readonly requests: readonly RequestedIp[]
  /** What this host's configuration keeps out of a pool. */
  readonly exclude?: readonly string[] | undefined
  /** Further keys for host-local, which go into the result. */
  readonly more?: Json
}

export interface Leased<Run extends RunFile> { readonly run: Run; readonly leased: Result }

const isFull = (error: unknown): boolean => error instanceof CniError && error.code === codes.outOfAddresses

const isText = (value: unknown): value is string => typeof value === 'string'

/** Single addresses that are, or may be, in blocks of other hosts: the agent has to claim them. */
class Claims {
  readonly #subject: Subject
  readonly #part: Part<RunFile>
  readonly #exclude: readonly string[]
  readonly addresses: string[] = []

  constructor(subject: Subject, part: Part<RunFile>, exclude: readonly string[]) {
    this.#subject = subject
    this.#part = part
    this.#exclude = exclude
  }

  /** Those that were asked for and are in no block of this host. */
  claim(run: RunFile, requests: readonly RequestedIp[]): void {
    const { network } = this.#part
    const foreign = foreignTo(run, requests, this.#exclude)
    if (foreign.length > 0) this.#undo()
    for (const ip of foreign) this.#request({ op: 'static', network, ip, ...this.#holder })
    this.addresses.push(...foreign)
  }

  /** Another block, or whatever there is for this attachment. */
  grow(): void {
    const { network } = this.#part
    const { addresses: claimed } = this
    const exclude = this.#exclude
    const { borrowed } = this.#request({ op: 'grow', network, exclude, claimed, ...this.#holder })
    if (!Array.isArray(borrowed) || borrowed.length === 0) return
    this.#undo()
    this.addresses.push(...borrowed.filter(isText))
  }

  get #holder() { return { container: this.#subject.containerId, ifname: this.#subject.ifName } }

  #request(question: Request): Agreement { return request(this.#part.asker, question) }

  #undo(): void {
    const { asker, network } = this.#part
    const { containerId, ifName, undo } = this.#subject
    undo('claimed address', () => giveBack(asker, { network, containerId, ifName }))
  }
}

/**
 * Whether there is a family of which this host has nothing by itself, as can be in a pool.
 * @param addresses that have been claimed one by one
 */
export const lacks = (run: RunFile, addresses: readonly string[], exclude: readonly string[]): boolean =>
  familiesOf(run).some(family =>
    addresses.every(ip => familyOf(ip) !== family) && capacity(handedOut(run, family, exclude)) === 0n)

/** How often the blocks of this host may change under our hands. */
const ATTEMPTS = 5

/**
 * Leases an address of every family, to be given back if something fails later. A host whose blocks are full gets
 * another one.
 * @throws CniError 101 when there is no address, 11 when the agent has to be asked and cannot be
 */
export const lease = <Run extends RunFile>(
  call: Subject, part: Part<Run>, { dataDir, requests, exclude = [], more = {} }: Wish,
): Leased<Run> => {
  let run = joined(part)
  const claims = new Claims(call, part, exclude)
  claims.claim(run, requests)
  const isAsked = familiesOf(run).every(family => requests.some(({ text }) => familyOf(text) === family))
  for (let attempt = 1; ; attempt++) {
    if (claims.addresses.length > 0) run = part.agree(current(part) ?? run)
    if (lacks(run, claims.addresses, exclude) && attempt < ATTEMPTS) {
      claims.grow()
      run = joined(part)
      continue
    }
    const ipam = call.delegate(hostLocalConfig(run, dataDir, { claimed: claims.addresses, exclude, more }))
    try {
      const leased = ipam.add()!
      call.undo('address lease', () => ipam.del())
      // The agent gives up no block, and lets no other host have an address of one, before it has changed the file;
      // and it looks at the records after that.
      if (leased.ips.every(({ address }) => isOurs(current(part), address))) return { run, leased }
      ipam.del()
      if (attempt === ATTEMPTS)
        throw new CniError('tryAgainLater', `the blocks of network ${part.network} on this host change all the time`)
      run = joined(part)
    } catch (error) {
      if (isAsked || !isFull(error) || attempt === ATTEMPTS) throw error
      claims.grow()
      run = joined(part)
    }
  }
}
