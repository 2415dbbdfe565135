// Which limits an attachment is to have, decided before anything is touched.
import { invalidConfig } from '#cni/errors.ts'
import type { Bucket } from '#netlink/route/traffic.ts'
import type { Config } from './config.ts'

export type Direction = 'ingress' | 'egress'

/** What an attachment is limited to, as seen from the container. */
export type Limits = Readonly<Record<Direction, Bucket | undefined>>

const MOST_BYTES = 0xffffffff // what the kernel keeps a burst in
const QUEUE_SECONDS = 0.025 // as the reference plugin: a packet waits no longer

type Keys = Pick<Config, 'ingressRate' | 'ingressBurst' | 'egressRate' | 'egressBurst'>

const bucketOf = (keys: Keys, direction: Direction, where: string): Bucket | undefined => {
  const [rate, burst] = [keys[`${direction}Rate`] ?? 0, keys[`${direction}Burst`] ?? 0]
  if (rate === 0 && burst === 0) return undefined
  if (rate === 0 || burst === 0) {
    const [given, missing] = rate === 0 ? ['Burst', 'Rate'] : ['Rate', 'Burst']
    throw invalidConfig(
      `${where}${direction}${given} ${rate || burst} without ${direction}${missing}`,
      'a limit needs both, and 0 for both is none',
    )
  }
  if (rate > Number.MAX_SAFE_INTEGER) {
    throw invalidConfig(`${where}${direction}Rate ${rate} is too large`, 'leave both keys out for no limit')
  }
  if (burst / 8 >= MOST_BYTES) {
    throw invalidConfig(
      `${where}${direction}Burst ${burst} is too large`,
      `below ${8 * MOST_BYTES} bits, which is what the kernel can count`,
    )
  }
  const [bytesPerSecond, bytes] = [Math.max(1, Math.floor(rate / 8)), Math.max(1, Math.floor(burst / 8))]
  const limit = Math.min(MOST_BYTES, Math.floor(bytesPerSecond * QUEUE_SECONDS) + bytes)
  return { rate: bytesPerSecond, burst: bytes, limit }
}

const ETHERNET_HEADER = 14 // ETH_HLEN of include/uapi/linux/if_ether.h

/**
 * A bucket of a link. Nothing would pass one that holds less than a packet, so it gets room for two: with one, timers
 * that are late cost a tenth of the rate. What TCP sends in one piece (up to 64 KiB, segmentation offload) the kernel
 * cuts for a smaller burst.
 */
export const passing = ({ rate, burst, limit }: Bucket, mtu: number): Bucket => {
  const packet = mtu + ETHERNET_HEADER
  const missing = burst < packet ? 2 * packet - burst : 0
  return { rate, burst: burst + missing, limit: limit + missing }
}

/**
 * The limits of a configuration. What it says itself goes before what the runtime asks for, as with the reference
 * plugin: an administrator's limit is not for a user to lift.
 * @throws CniError 7 that names the key
 */
export const limitsOf = (config: Config): Limits => {
  const { runtimeConfig, ...own } = config
  const isOwn = Object.values(own).some(value => value !== undefined && value > 0)
  const [keys, where] = isOwn ? [own, ''] : [runtimeConfig?.bandwidth ?? {}, 'runtimeConfig.bandwidth.']
  return { ingress: bucketOf(keys, 'ingress', where), egress: bucketOf(keys, 'egress', where) }
}
