// The firewall in our own table: an element for each address and one for each attachment. A packet costs a few lookups
// and a change a few elements, however many containers there are. firewall-nftables-removal.ts takes them away.
import { tolerate } from '#sys/errno.ts'
import { sleep } from '#sys/sleep.ts'
import { familyOf, formatIp, parseIp } from '#netlink/ip.ts'
import { findChain, revise } from '#netlink/nftables/query.ts'
import { goto } from '#netlink/nftables/statement.ts'
import { commit, type Table } from '#netlink/nftables/transaction.ts'
import type { Admission } from './admission.ts'
import { comment, hostLinkName } from './attachment.ts'
import { find, isConfined, isOpenWithin, placeIn, samePlaces } from './firewall-elements.ts'
import {
  addShared, confined, findDamage, marked, members, openTally, policyTally, table, within, zoned, zoneTally,
  type Place, type Tally,
} from './firewall-table.ts'
import type { Namespace } from './namespace.ts'
import { tableOf } from './table.ts'

/** An element, and the chain that it leads to if its place has any. */
interface Member { readonly map: Place; readonly key: string; readonly tally: Tally | undefined }

const addressMember = (address: string, tally: Tally | undefined): Member | undefined => {
  const bytes = parseIp(address.split('/')[0]!)
  return bytes && { map: (tally ? zoned : marked)[familyOf(address)], key: formatIp(bytes), tally }
}

interface Confinement { readonly bridge: string; readonly policy: 'same-bridge' | 'isolated'; readonly tally: Tally }

const confinementOf = ({ ingressPolicy, bridge }: Admission): Confinement | undefined =>
  ingressPolicy === 'open' || bridge === undefined ? undefined
    : { bridge, policy: ingressPolicy, tally: policyTally(ingressPolicy, bridge) }

/** What an admission consists of. The key of a member is the name that the attachment's link has in any case. */
const membersOf = (admission: Admission, zone: string | undefined): readonly Member[] => {
  const { addresses, attachment } = admission
  const confinement = confinementOf(admission)
  if (addresses.length === 0 && confinement === undefined) return []
  const tally = zone === undefined ? undefined : zoneTally(zone)
  return [
    ...addresses.map(address => addressMember(address, tally)).filter(member => member !== undefined),
    { map: members, key: hostLinkName(attachment), tally: confinement?.tally ?? openTally },
  ]
}

const insert = (own: Table, { map, key, tally }: Member, options: { comment: string; exclusive?: boolean }): void => {
  placeIn(own, map).insert(key, tally && goto(tally.name), options)
}

/** The strictest policy of a device's attachments counts for all of them. */
const isIsolated = (host: Namespace, bridge: string): boolean =>
  (findChain(host.netfilter, table, policyTally('isolated', bridge).name)?.use ?? 0) > 0

/** What of a device's confinement is missing, undefined when nothing is. */
const findGap = (host: Namespace, { bridge }: Confinement): string | undefined => {
  if (!isConfined(host, bridge)) return `${bridge} is not in set ${confined.name}`
  return isOpenWithin(host, bridge) === isIsolated(host, bridge)
    ? `${bridge} is ${isIsolated(host, bridge) ? '' : 'not '}in set ${within.name}` : undefined
}

/** The usual case, which is as small as can be: the shared part is there, and nothing stale holds the address. */
const addToShared = (host: Namespace, admission: Admission, wanted: readonly Member[]): boolean => {
  const confinement = confinementOf(admission)
  const ready = findDamage(host) === undefined &&
    wanted.every(({ tally }) => !tally || findChain(host.netfilter, table, tally.name)) &&
    (confinement === undefined || findGap(host, confinement) === undefined &&
      (confinement.policy === 'isolated') === isIsolated(host, confinement.bridge))
  const remark = { comment: comment(admission.attachment), exclusive: true }
  return ready && tolerate(['EEXIST', 'ENOENT'], () => {
    commit(host.netfilter, tx => {
      const own = tableOf(tx, table)
      for (const member of wanted) insert(own, member, remark)
    })
    return true
  }) === true
}

const confine = (host: Namespace, own: Table, { bridge, policy }: Confinement): void => {
  own.set(confined.name, confined.type).insert(bridge)
  const pair = `${bridge} . ${bridge}`
  const open = own.set(within.name, within.type)
  if (policy === 'same-bridge' && !isIsolated(host, bridge)) open.insert(pair)
  if (policy === 'isolated' && isOpenWithin(host, bridge)) open.remove(pair)
}

/**
 * Marks what belongs to an attachment, and keeps its device apart as its policy says. What an earlier owner of an
 * address left behind is replaced.
 * @param zone firewalld's zone that lets it through in place of the mark
 * @returns whether more than elements had to be added
 * @throws NetlinkError
 */
export const add = (host: Namespace, admission: Admission, zone?: string): boolean => {
  const wanted = membersOf(admission, zone)
  if (wanted.length === 0 || addToShared(host, admission, wanted)) return false
  const confinement = confinementOf(admission)
  revise(host.netfilter, tx => {
    const own = addShared(tx)
    if (confinement) confine(host, own, confinement)
    for (const member of wanted) {
      const { map, key, tally } = member
      if (tally) own.chain(tally.name).add({ comment: tally.comment })
      // Whoever has the address may have had it in the other way.
      for (const place of samePlaces(map)) if (find(host, place, key)) placeIn(own, place).remove(key)
      insert(own, member, { comment: comment(admission.attachment) })
    }
  })
  return true
}

const checkOnce = (host: Namespace, admission: Admission, zone: string | undefined): void => {
  const fault = (what: string): Error =>
    new Error(`firewall: in nftables table inet fairlead_firewall ${what}; add the container again`)
  const wanted = membersOf(admission, zone)
  for (const { map, key, tally } of wanted) {
    const place = `${map.leads ? 'map' : 'set'} ${map.name}`
    const element = find(host, map, key)
    if (element === undefined) throw fault(`${key} is not in ${place}`)
    const owner = element.comment || 'nobody'
    const own = comment(admission.attachment)
    if (owner !== own) throw fault(`${key} of ${place} belongs to ${owner}, not to ${own}`)
    if (element.verdict?.chain !== tally?.name) throw fault(`${key} of ${place} does not lead to ${tally?.name}`)
  }
  const confinement = confinementOf(admission)
  const damage = wanted.length > 0 ? findDamage(host) : undefined
  if (damage !== undefined) throw fault(`chain ${damage} has lost rules`)
  const gap = confinement && findGap(host, confinement)
  if (gap !== undefined) throw fault(gap)
}

const CHECK_ATTEMPTS = 5
const CHECK_PAUSE_MS = 3

/** @throws Error naming what is missing */
export const check = (host: Namespace, admission: Admission, zone?: string): void => {
  // What is read while somebody else's transaction is being prepared may be off; a fault lasts.
  for (let attempt = 1; ; attempt++) {
    try {
      return checkOnce(host, admission, zone)
    } catch (fault) {
      if (attempt === CHECK_ATTEMPTS) throw fault
      sleep(CHECK_PAUSE_MS)
    }
  }
}
