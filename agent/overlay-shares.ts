// The shares of networks that have a tunnel: the kernel has to know of them. Pools have none.
import type { Share } from './memory.ts'
import { isEncrypted, type OverlayConfig } from './network.ts'

export type OverlayShare = Share & { readonly config: OverlayConfig }
export type OverlayShares = Readonly<Record<string, OverlayShare>>

export const isOverlay = (share: Share): share is OverlayShare => share.config.addressing !== 'pool'

/** Whether containers of other hosts can have addresses of its blocks. */
export const canLend = ({ config: { addressing }, blocks }: Share): boolean =>
  addressing !== 'hostSubnet' && blocks.length > 0

export const overlaysIn = (shares: Readonly<Record<string, Share>>): OverlayShares =>
  Object.fromEntries(Object.entries(shares).flatMap(([name, share]) => isOverlay(share) ? [[name, share]] : []))

/** Those that share one device. */
export const encryptedIn = (shares: Readonly<Record<string, Share>>): OverlayShares =>
  Object.fromEntries(Object.entries(overlaysIn(shares)).filter(([, { config }]) => isEncrypted(config)))

export const configsIn = (shares: OverlayShares): readonly OverlayConfig[] =>
  Object.values(shares).map(({ config }) => config)
