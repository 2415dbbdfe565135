// What the plugin has handed out on this host, and keeping single addresses of our blocks from being handed out because
// a container of another host has them. The records are host-local's.
import { isGuest, recordedIn, recordOf, Store } from '#plugins/host-local-ipam/store.ts'
import { capacity, isCandidate, numberIn } from '#cni/address-range.ts'
import { familiesOf, handedOut } from '#cni/cluster/addresses.ts'
import type { RunFile } from '#cni/cluster/run-file.ts'
import type { Family } from '#netlink/ip.ts'
import { tolerate } from '#sys/errno.ts'
import { readText, status } from '#sys/file.ts'
import type { Share } from './memory.ts'
import { canLend } from './overlay-shares.ts'

/** No container's id: those have no slash. */
const guest = (host: string, container: string): string => `${host}/${container}`

export class LeaseRecords {
  readonly #directory: string
  constructor(leases: string, network: string) { this.#directory = `${leases}/${network}` }

  /** Whether a container of this host has an address of the network. */
  get isIdle(): boolean {
    return recordedIn(this.#directory).length === this.guests.length
  }

  /** The addresses that are kept for containers of other hosts. */
  get guests(): readonly string[] {
    return recordedIn(this.#directory).filter(address => isGuest(this.#record(address)))
  }

  /**
   * Whether nothing here says which addresses of its blocks this host has lent: a directory may have been emptied, or
   * not survive a reboot. The store knows them.
   */
  areLost(share: Share): boolean { return canLend(share) && status(`${this.#directory}/lock`) === undefined }

  /** From here on they are not lost, also when there are none. */
  found(): void { this.alone(() => {}) }

  /** Runs a step during which nobody is given an address. */
  alone<T>(step: () => T): T {
    using _ = Store.open(this.#directory)
    return step()
  }

  /** Whether an attachment has an address. */
  holds(address: string, container: string, ifname: string): boolean {
    return this.#record(address) === recordOf(container, ifname)
  }

  /**
   * Keeps an address for a container of another host.
   * @param before done with the address recorded and nobody else at work
   * @returns false when a container of this host has it
   */
  keepFor(address: string, host: string, container: string, ifname: string, before = (): void => {}): boolean {
    using store = Store.open(this.#directory)
    const name = guest(host, container)
    const kept = store.record(address) === recordOf(name, ifname) || store.reserve(address, name, ifname)
    if (kept) before()
    store.settle()
    return kept
  }

  /** Frees the addresses that were kept for others and are not among `wanted`. */
  freeGuests(wanted: ReadonlySet<string>): void {
    const stale = this.guests.filter(address => !wanted.has(address))
    if (stale.length === 0) return
    using store = Store.open(this.#directory)
    for (const address of stale) store.release(address)
    store.settle()
  }

  /** The families of which this host has no address left to hand out. @param exclude what it never does */
  exhausted(run: RunFile, exclude?: readonly string[]): readonly Family[] {
    const used = recordedIn(this.#directory)
    return familiesOf(run).filter(family => {
      const set = handedOut(run, family, exclude)
      const own = used.filter(name => {
        const address = numberIn(set.family, name)
        return address !== undefined && isCandidate(set, address)
      })
      return BigInt(own.length) >= capacity(set)
    })
  }

  #record(address: string): string | undefined {
    return tolerate(['EISDIR'], () => readText(`${this.#directory}/${address}`))?.trim()
  }
}
