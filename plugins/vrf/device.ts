// The VRF itself. Interfaces of several networks may be its ports; the last one takes it away, if we have made it.
import { invalidConfig } from '#cni/errors.ts'
import { isNetworkLabel, networkLabel } from '#net/attachment.ts'
import { create, type Undo } from '#net/creation.ts'
import type { Namespace } from '#net/namespace.ts'
import { copyRoutes } from '#netlink/route/copy.ts'
import type { Link } from '#netlink/route/link.ts'
import { Rules } from '#netlink/route/rule.ts'
import type { Config } from './config.ts'
import { freeTable } from './plan.ts'

/** The VRF of that name, undefined when there is none, or a link of another kind. */
export const findVrf = (pod: Namespace, name: string): Link | undefined => {
  const link = pod.link.find(name)
  // The kernel finds links by their alternative names as well.
  return link?.name === name && link.info.kind === 'vrf' ? link : undefined
}

/** Refuses what cannot be, without touching anything. @returns the VRF if it is there @throws CniError 7 */
export const requireVrf = (pod: Namespace, { vrfname, table }: Config): Link | undefined => {
  const found = pod.link.find(vrfname)
  if (found === undefined) return undefined
  const vrf = findVrf(pod, vrfname)
  const named = `vrfname ${JSON.stringify(vrfname)}`
  if (vrf === undefined) throw invalidConfig(`${named}: link ${found.name} is no VRF`, 'choose another name')
  if (table > 0 && vrf.info.table !== table) {
    throw invalidConfig(
      `table ${table}: ${named} exists with table ${vrf.info.table}`, 'leave table out, or choose another vrfname',
    )
  }
  return vrf
}

const usedTables = (pod: Namespace): ReadonlySet<number> => new Set([
  ...pod.link.list().map(({ info }) => info.table ?? 0),
  ...new Rules(pod.rtnetlink).list().map(({ table }) => table),
  ...copyRoutes(pod.rtnetlink).map(({ table }) => table),
])

const portsOf = (pod: Namespace, { index }: Link): Link[] => pod.link.list({ master: index })

/**
 * An alternative name that says: this VRF was there before its first port, and is to stay when the last one has gone.
 * One without it and without our label is the reference plugin's, and goes.
 */
const keepMark = (name: string): string => `fairlead-keep-${name}`

const removeIfEmpty = (pod: Namespace, name: string): void => {
  const vrf = findVrf(pod, name)
  if (vrf && portsOf(pod, vrf).length === 0) pod.link.remove(name)
}

/** The VRF of a configuration that `requireVrf` has let pass, made if it is missing, and up. */
export const joinVrf = (pod: Namespace, { vrfname: name, table }: Config, network: string, undo: Undo): Link => {
  const found = findVrf(pod, name)
  if (found === undefined) {
    const info = { kind: 'vrf', table: table || freeTable(usedTables(pod)) } as const
    create(undo, `VRF ${name}`, () => removeIfEmpty(pod, name), () => pod.requestAll([
      pod.link.adding({ name, info }), pod.link.setting(0, { name, alias: networkLabel(network), up: true }),
    ]))
    return pod.link.get(name)
  }
  const mark = keepMark(name)
  if (!isNetworkLabel(found.alias) && !found.altNames?.includes(mark) && portsOf(pod, found).length === 0) {
    create(undo, `mark of ${name}`, () => pod.link.removeAltName(mark), () =>
      pod.requestAll([pod.link.addingAltName(name, mark)]))
  }
  if (!found.up) {
    create(undo, `state of ${name}`, () => pod.link.set(found.index, { up: false }), () =>
      pod.link.set(found.index, { up: true }))
  }
  return found
}

/** Takes an interface out of a VRF, whether or not it is in it, and a VRF away that nobody needs any more. */
export const leaveVrf = (pod: Namespace, vrf: Link, port: Link | undefined): void => {
  const { name, index, alias, altNames = [] } = vrf
  const isPort = port?.master === index
  const isLast = portsOf(pod, vrf).every(other => other.index === port?.index)
  const isKept = altNames.includes(keepMark(name))
  // The kernel frees the ports of a VRF that is removed.
  if (isLast && (isNetworkLabel(alias) || isPort && !isKept)) return void pod.link.remove(name)
  if (isPort) pod.link.set(port.index, { master: 0 })
  if (isLast && isKept) pod.link.removeAltName(keepMark(name))
}
