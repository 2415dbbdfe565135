// What follows bridge in a network whose containers are published, guarded, shaped and tuned.
import { withoutPlugin } from './requirements.ts'

type Keys = Readonly<Record<string, unknown>>

/** Bits per second and bits: fast enough for a page, and no numbers that the kernel has by itself. */
export const limits = {
  ingressRate: 80_000_000, ingressBurst: 8_000_000, egressRate: 40_000_000, egressBurst: 4_000_000,
} as const

/** What tuning sets: the interface's MTU and a sysctl of the container's namespace. */
export const tuned = { mtu: 1400, sysctl: { 'net.core.somaxconn': '512' } } as const

/**
 * portmap, firewall, bandwidth and tuning, in the order in which runtimes' documentation lists them.
 * @param publishing further keys of portmap: its capability, or `runtimeConfig` where the runtime publishes nothing
 * @param shaping further keys of bandwidth: its capability, or limits of the network's own
 */
export const chainOf = (publishing: Keys, shaping: Keys): Keys[] => [
  { type: 'portmap', ...publishing },
  { type: 'firewall' },
  { type: 'bandwidth', ...shaping },
  { type: 'tuning', ...tuned },
]

/** portmap for runtimes that hand over what to publish. */
export const published = { capabilities: { portMappings: true } } as const

/** Why no test of the chain can run, false when it can. */
export const missingOfChain =
  chainOf({}, {}).map(({ type }) => withoutPlugin(String(type))).find(reason => reason !== false) ?? false
