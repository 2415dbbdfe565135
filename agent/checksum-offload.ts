// Who computes the checksums of what this host sends into its tunnels: the network card, or this host itself.
import { offloadsChecksums, setChecksumOffload } from '#net/offload.ts'
import type { Namespace } from '#net/namespace.ts'
import { tolerate } from '#sys/errno.ts'

/** `auto`: the card, unless that turns out not to work. `on`: it is left as it is. `off`: this host. */
export const checksumWishes = ['auto', 'on', 'off'] as const
export type ChecksumWish = typeof checksumWishes[number]

export class ChecksumOffload {
  readonly wish: ChecksumWish
  #isOff: boolean

  constructor(wish: ChecksumWish) {
    this.wish = wish
    this.#isOff = wish === 'off'
  }

  /** Whether this host computes them. */
  get isOff(): boolean { return this.#isOff }

  /** For a device that the agent has made, or found. It leaves one alone where the card may compute them. */
  settle(host: Namespace, device: string): void { if (this.#isOff) setChecksumOffload(host, device, false) }

  /** Decides for all devices, as far as they are there. */
  decide(host: Namespace, devices: readonly string[], isOff: boolean): void {
    this.#isOff = isOff
    for (const device of devices) tolerate(['ENODEV'], () => setChecksumOffload(host, device, !isOff))
  }

  /** Whether it was decided against the card before the agent was there, which is true of all devices then. */
  isOffAt(host: Namespace, devices: readonly string[]): boolean {
    return devices.some(device => tolerate(['ENODEV'], () => !offloadsChecksums(host, device)) ?? false)
  }
}
