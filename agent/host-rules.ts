// What the firewall holds for the overlays of this host, whichever network needs it.
import type { Namespace } from '#net/namespace.ts'
import { ensureGuard } from '#net/overlay-guard.ts'
import { ensureInternal } from '#net/overlay-internal.ts'
import { ensureSeal } from '#net/overlay-seal.ts'
import { WIREGUARD_DEVICE } from '#net/overlay-wireguard.ts'
import { isEncrypted, type OverlayConfig } from './network.ts'
import type { Underlay } from './underlay.ts'

const subnetsOf = (configs: readonly OverlayConfig[]): readonly (readonly string[])[] =>
  configs.map(({ ranges }) => ranges.map(({ subnet }) => subnet))

/** Keeps encrypted networks to their device. It needs to know nothing of other hosts. @throws NetlinkError */
export const sealNetworks = (host: Namespace, { index }: Underlay, configs: readonly OverlayConfig[]): void =>
  ensureSeal(host, {
    device: WIREGUARD_DEVICE, underlay: host.link.at(index).name,
    subnets: subnetsOf(configs.filter(isEncrypted)).flat(),
  })

/**
 * Keeps the rules for VXLAN and for internal networks.
 * @param vteps tunnel ends of all other hosts
 * @param tunnels names of the devices
 * @param isPartial see Guard
 * @throws NetlinkError
 */
export const guardNetworks = (
  host: Namespace, configs: readonly OverlayConfig[], vteps: readonly string[], tunnels: readonly string[],
  isPartial: boolean,
): void => {
  // WireGuard knows by itself who may send.
  const ports = new Set(configs.filter(config => !isEncrypted(config)).map(({ port }) => port))
  ensureGuard(host, { ports: [...ports], vteps, tunnels, isPartial })
  ensureInternal(host, subnetsOf(configs.filter(({ internal }) => internal === true)))
}
