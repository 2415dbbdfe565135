// What a configuration asks of the macvlan plugin, decided before anything is touched.
import { CniError, invalidConfig } from '#cni/errors.ts'
import { refuseMtu } from '#cni/interface.ts'
import { refuseParent } from '#cni/parent.ts'
import type { FromSchema } from '#cni/schema.ts'
import { formatMac, parseMac } from '#netlink/mac.ts'
import type { Link, LinkSpec } from '#netlink/route/link.ts'
import { errnoOf } from '#sys/errno.ts'
import type { schema } from './config.ts'

export type Config = FromSchema<typeof schema>

/** Refuses combinations of keys that cannot mean anything. @throws CniError 7 */
export const refuseContradictions = (config: Config, layer3: boolean): void => {
  refuseParent(config)
  refuseMtu(config.mtu)
  const { mode, sources = [], hostAccess, linkInContainer, internal } = config
  if (sources.length > 0 && mode !== 'source') {
    throw invalidConfig(`sources needs mode source, and mode is ${mode}`, 'remove sources or change the mode')
  }
  const wrong = sources.find(source => parseMac(source)?.length !== 6)
  if (wrong !== undefined) {
    throw invalidConfig(`sources has ${JSON.stringify(wrong)}`, 'write addresses such as 02:00:0a:01:02:03')
  }
  if (!hostAccess) return
  if (mode !== 'bridge') {
    throw invalidConfig(`hostAccess true needs mode bridge, and mode is ${mode}`, 'in other modes links do not talk')
  }
  if (linkInContainer) {
    throw invalidConfig('hostAccess true and linkInContainer true exclude each other', 'the parent is not the host\'s')
  }
  if (internal) {
    throw invalidConfig('hostAccess true and internal true exclude each other', 'an internal network has no way out')
  }
  if (!layer3) throw invalidConfig('hostAccess true needs ipam', 'the host reaches containers by their addresses')
}

/** @throws CniError 7 when an address is asked for that the container cannot have */
export const refuseMacOf = ({ mode }: Config, mac: string | undefined): void => {
  if (mac === undefined || mode !== 'passthru') return
  throw invalidConfig(`mac ${mac} cannot be had in mode passthru`, 'the container has the parent\'s hardware address')
}

/** The kind and settings of the container's link. */
export const linkInfo = ({ mode, sources = [], bcqueuelen }: Config): NonNullable<LinkSpec['info']> => ({
  kind: 'macvlan', mode,
  bcQueueLen: bcqueuelen || undefined,
  ...(sources.length > 0
    ? { sourceMode: 'set', sources: sources.map(source => formatMac(parseMac(source)!)) } as const
    : undefined),
})

/**
 * Runs a step that stacks a link on a parent which mode passthru may have to itself: macvlan_common_newlink of the
 * kernel's drivers/net/macvlan.c says no more than EINVAL.
 * @throws CniError 100 that names the parent
 */
export const alone = <T>({ name }: Link, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
    throw new CniError(
      'kernelRefused',
      `parent ${name} takes no such link: it is in use and mode passthru shares with nobody, or it is no Ethernet link`,
      'give a passthru network a parent of its own, and choose a usual name for the interface',
      { cause: error },
    )
  }
}
