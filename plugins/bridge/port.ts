// The container's place on the bridge: finding or making the bridge, and the pair that leads to it.
import { broken, expect } from '#cni/check.ts'
import { CniError, invalidConfig } from '#cni/errors.ts'
import { hostLinkName, networkLabel, type Attachment } from '#net/attachment.ts'
import { containerPorts, ensureBridge, raiseBridge } from '#net/bridge.ts'
import { create, type Undo } from '#net/creation.ts'
import { whileHostIsLocked } from '#net/host-lock.ts'
import * as gatewayMode from '#net/gateway-mode.ts'
import * as internal from '#net/internal.ts'
import type { Namespace } from '#net/namespace.ts'
import { addVeth, hostEnd } from '#net/veth.ts'
import { OPERSTATE_UP, type Link } from '#netlink/route/link.ts'
import { errnoOf } from '#sys/errno.ts'
import { accessOf } from './access.ts'
import { isGateway, routedLink, wantsVlans, type Config } from './plan.ts'
import { checkVlans, ensureVlanGateway, joinVlans } from './vlan.ts'

export const MAX_PORTS = 1023 // BR_MAX_PORTS of net/bridge/br_private.h, less the one that is never given

export const noFreePort = (bridge: string): CniError =>
  new CniError(
    'notAvailable',
    `bridge ${bridge} has no free port: ${MAX_PORTS} is all a bridge can have`,
    'attach further containers to another bridge',
  )

/** The bridge, the container's port of it, and the link that carries the gateway's addresses. */
export interface Place {
  readonly master: Link
  readonly gateway: Link
  readonly port: Link
  /** Whether other containers are on the bridge by now. */
  isShared(): boolean
  /** Sets who reaches the bridge, where that is still to be done: other containers live with it, so it comes last. */
  guard(): void
}

/** Whether frames of a container reach the gateway only. */
const isIsolated = ({ portIsolation, icc }: Config): boolean => portIsolation || !icc

/** Whether a network says who reaches it. */
const isGuarded = (config: Config): boolean => config.internal || accessOf(config) !== undefined

/** What belongs to the bridge, so that DEL leaves it and GC takes it away with the bridge. */
const addGuards = (host: Namespace, config: Config, isShared: () => boolean, undo: Undo): void => {
  const link = routedLink(config)
  const add = (what: string, remove: (host: Namespace, link: string) => void, step: () => void): void =>
    create(undo, what, () => whileHostIsLocked('exclusive', () => { if (!isShared()) remove(host, link) }), step)
  if (config.internal) add('isolation', internal.remove, () => internal.add(host, link))
  const access = accessOf(config)
  if (access) add('gateway mode', gatewayMode.remove, () => gatewayMode.add(host, link, access))
  else gatewayMode.remove(host, link)
}

/**
 * Joins the container to its bridge, which is made if there is none. To be called with the shared lock, so that nobody
 * removes the bridge, or its isolation, before the port is there.
 * @param config with the hardware address that the container's end is to have
 * @throws NetlinkError, CniError 7 when the bridge's name is another link's, 50 when it is full
 */
export const join = (
  config: Config & { readonly mac: string | undefined }, host: Namespace, pod: Namespace,
  attachment: Attachment, layer3: boolean, undo: Undo,
): Place => {
  const alias = networkLabel(attachment.network)
  const mtu = config.mtu || undefined
  const master = ensureBridge(host, { name: config.bridge, mtu, vlanFiltering: wantsVlans(config), alias }, undo)
  if (master.info.kind !== 'bridge') {
    const kind = master.info.kind || 'hardware or loopback'
    throw invalidConfig(
      `bridge ${JSON.stringify(config.bridge)} is no bridge but a ${kind} link`,
      'choose another name',
    )
  }
  raiseBridge(host, master, config.promiscMode, undo)
  const gateway = config.vlan && layer3 && isGateway(config)
    ? ensureVlanGateway(host, master, config.vlan, alias, undo)
    : master

  try {
    addVeth(host, pod, attachment, { mtu, mac: config.mac, master: master.index }, undo)
  } catch (error) {
    throw errnoOf(error) === 'EXFULL' ? noFreePort(config.bridge) : error
  }
  const port = host.link.get(hostLinkName(attachment))
  // One port is this container's own, which is taken back last.
  const isShared = (): boolean => containerPorts(host, master.index).length > 1
  const guard = (): void => addGuards(host, config, isShared, undo)
  // Before the first container can be reached, but not before an ADD beside others has come to its end.
  const isFirst = isGuarded(config) && !isShared()
  if (isFirst) guard()
  if (config.hairpinMode || isIsolated(config)) {
    host.link.setPort(port.index, { hairpin: +config.hairpinMode, isolated: +isIsolated(config) })
  }
  joinVlans(host, port.index, config)
  return { master, gateway, port, isShared, guard: isFirst ? () => {} : guard }
}

/**
 * The host's end of the pair: a port of the bridge that forwards, set as the configuration says.
 * @throws CniError 102 that names the difference
 */
export const checkPort = (host: Namespace, pod: Namespace, link: Link, master: Link, config: Config): Link => {
  const port = hostEnd(host, pod, link)
  if (port?.master !== master.index) throw broken(`the other end of ${link.name} is no port of ${config.bridge}`)
  expect(`state of ${port.name}`, port.up ? 'up' : 'down', 'up')
  if (!config.disableContainerInterface) expect(`carrier of ${port.name}`, port.operstate, OPERSTATE_UP)
  expect(`hairpin of ${port.name}`, port.port?.hairpin === 1, config.hairpinMode)
  // firewall may have isolated it besides.
  if (isIsolated(config)) expect(`isolation of ${port.name}`, port.port?.isolated === 1, true)
  checkVlans(host, port, config)
  return port
}
