// All ipvlan links of a parent share one mode and one flag, and the kernel switches those that live when a new one asks
// for others: ipvlan_link_new of drivers/net/ipvlan/ipvlan_main.c. The containers' links are out of sight in their
// namespaces. So the host has one of its own beside them, down and without addresses: it shows what they are.
import { invalidConfig } from '#cni/errors.ts'
import type { Attachment } from '#net/attachment.ts'
import type { Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { joinShared } from '#net/shared-link.ts'
import type { Link } from '#netlink/route/link.ts'
import { tolerate } from '#sys/errno.ts'
import type { Config } from './plan.ts'

const nameOn = ({ index }: Link): string => `ipv-${index}`

const refuse = (witness: Link, parent: Link, { mode, flag }: Config): void => {
  const { info } = witness
  if (info.kind !== 'ipvlan' || witness.parent !== parent.index) {
    throw invalidConfig(`${witness.name} exists and is no ipvlan link on ${parent.name}`, 'rename or remove that link')
  }
  if (info.mode === mode && info.flag === flag) return
  throw invalidConfig(
    `mode ${mode} with flag ${flag} would switch the containers on ${parent.name}, which have ${info.mode} with ` +
      `${info.flag}`,
    'all ipvlan links of a parent share both: keep to them, or choose another parent, such as a VLAN of this one',
  )
}

/** Refuses to switch the ipvlan links that live on a parent. @throws CniError 7 */
export const refuseSwitch = (home: Namespace, parent: Link, config: Config): void => {
  const witness = config.linkInContainer
    ? home.link.list().find(({ info, parent: below }) => info.kind === 'ipvlan' && below === parent.index)
    : home.link.find(nameOn(parent))
  if (witness) refuse(witness, parent, config)
}

/**
 * Makes or joins the host's own link on a parent, which goes with the last attachment that has a mark on it. When it
 * has no room for more, later attachments do without, and it may go before them.
 * @throws CniError 7 when somebody else has been quicker with another mode
 */
export const join = (host: Namespace, parent: Link, attachment: Attachment, config: Config, undo: Undo): void => {
  const { mode, flag } = config
  const spec = { name: nameOn(parent), parent: parent.index, info: { kind: 'ipvlan', mode, flag } } as const
  const witness = tolerate(['ENOSPC'], () => joinShared(host, attachment, 'witness', spec, undo))
  if (witness) refuse(witness, parent, config)
}
