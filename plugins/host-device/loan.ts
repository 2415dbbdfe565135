// A device on loan: it goes into the container's namespace, and comes home as what it was.
import { CniError } from '#cni/errors.ts'
import type { Attachment } from '#net/attachment.ts'
import type { Undo } from '#net/creation.ts'
import { whileHostIsLocked } from '#net/host-lock.ts'
import type { Namespace } from '#net/namespace.ts'
import { runAll } from '#net/steps.ts'
import type { Link } from '#netlink/route/link.ts'
import { statusOf } from '#sys/file.ts'
import { isLinkName, mark, marksFor, marksOn, networkMark, pastOf, type Past } from './past.ts'

/** The device that an attachment has, wherever in this namespace and whatever its name. */
export const findLent = (where: Namespace, host: Namespace, attachment: Attachment): Link | undefined => {
  const own = mark(host, attachment)
  const isIt = (link: Link): boolean => marksOn(link, host, own).length > 0
  const usual = where.link.find(attachment.ifName)
  // A failed ADD may have left the answer to a longer question unread, and the kernel then takes no other such one.
  return usual && isIt(usual) ? usual : where.link.list().find(isIt)
}

const nameTaken = (name: string, where: string): CniError =>
  new CniError(
    'remains',
    `a device cannot get its name ${name} back, which another link of the host has; it is ${where}`,
    `rename the host's ${name}, and delete the attachment again`,
  )

/** Alternative names that we go by: marks of shared links, and what links are called that are made on a host. */
const MEANINGFUL = /^(fairlead-(parent|shim|witness)-|dm-|shim-|ipv-|veth)/

/**
 * Makes a device on the host what it was, and takes the marks off it. May be repeated at any point.
 * @throws CniError 106 when its name is taken, NetlinkError
 */
const settle = (host: Namespace, link: Link, past = pastOf(link, host)): void => {
  const { index } = link
  if (past) {
    const { name, mac, mtu, alias } = past
    const renamed = link.name !== name
    if (renamed && host.link.find(name)) throw nameTaken(name, `called ${link.name} for now`)
    const readdressed = mac !== '' && link.address !== mac
    // Links that are up keep their name before Linux 6.3, and many drivers their hardware address.
    if (link.up && (renamed || readdressed)) host.link.set(index, { up: false })
    host.link.set(index, {
      address: readdressed ? mac : undefined,
      mtu: link.mtu === mtu ? undefined : mtu,
      name: renamed ? name : undefined,
      alias: (link.alias ?? '') === alias ? undefined : alias,
      up: past.up || undefined,
    })
  }
  // Names that mean something to us on the host are given there, not in a container.
  const forged = (link.altNames ?? []).filter(name => MEANINGFUL.test(name))
  for (const name of [...marksOn(link, host), ...forged]) host.link.removeAltName(name)
}

/**
 * Devices with a mark that are on the host have come home by themselves: the kernel sends them when their container's
 * namespace ends, under the name they had there, or `dev%d`. Others are there only while somebody holds the lock.
 */
const strays = (host: Namespace, of?: string): readonly Link[] =>
  host.link.list().filter(link => marksOn(link, host, of).length > 0)

const settleWherePossible = (host: Namespace): void => {
  for (const link of strays(host)) {
    // One that the reference plugin has brought home has lost the alias, and may have another life by now.
    if (link.alias !== pastOf(link, host)?.name) continue
    try {
      settle(host, link)
    } catch { /* DEL or GC of whoever had it will tell */ }
  }
}

const cannotGo = (name: string, there: string, cause: unknown): CniError => {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CniError('kernelRefused', `${name} cannot go to ${there}: ${reason}`,
    'the driver may not allow it, or a name of the device is taken there', { cause })
}

/** @throws CniError 103 when the attachment has a device already */
export const requireNoneLent = (host: Namespace, pod: Namespace, attachment: Attachment): void => {
  const present = findLent(pod, host, attachment)
  if (present === undefined) return
  throw new CniError('alreadyAttached',
    `the device of ${attachment.ifName} is in ${pod.path} already, as ${present.name}`, 'delete that attachment first')
}

/** What the device is to be in the container. */
interface Wishes { readonly mtu: number | undefined; readonly mac: string | undefined }

/**
 * Gives a device to a container, which sees it as CNI_IFNAME. Its alias is the name that it had, as the reference
 * plugin notes it, so that that one can send it home, too.
 * @param choose finds the device among the links of the host, and throws when it must not go
 * @returns undefined when it is not there
 * @throws CniError 103 when the attachment has a device already, 100 when the kernel does not let it go
 */
export const lend = (
  host: Namespace, pod: Namespace, attachment: Attachment, choose: () => Link | undefined, { mtu, mac }: Wishes,
  undo: Undo,
): Link | undefined => whileHostIsLocked('exclusive', () => {
  const { ifName: name } = attachment
  requireNoneLent(host, pod, attachment)
  settleWherePossible(host)
  const chosen = choose()
  if (chosen === undefined) return undefined
  if (marksOn(chosen, host).length > 0) settle(host, chosen)
  const link = host.link.at(chosen.index)
  undo(`loan of ${link.name}`, () => takeBack(host, pod, attachment))
  host.requestAll(marksFor(host, attachment, link).map(text => host.link.addingAltName(link.name, text)))
  // One request, so that a call that is killed leaves it either here or there.
  try {
    host.link.set(link.index, { netnsFd: pod.fd, name, address: mac, mtu, alias: link.name })
  } catch (error) {
    throw cannotGo(link.name, `${pod.path} as ${name}`, error)
  }
  return pod.link.get(name)
})

const isSame = (one: Namespace, other: Namespace): boolean => statusOf(one.fd).inode === statusOf(other.fd).inode

/**
 * Moves a device from a container to the host. Renamed first where that can be done: it is announced on the host under
 * the name that it has on arrival.
 */
const sendHome = (
  host: Namespace, pod: Namespace, { index, name: current, altNames = [] }: Link, name: string,
): void => {
  if (host.link.find(name)) {
    // Its addresses are released all the same, and may be another's in a moment.
    pod.link.set(index, { up: false })
    throw nameTaken(name, `left in ${pod.path} as ${current}`)
  }
  // With CNI_NETNS_OVERRIDE it may be at home, and keeps what a move would cost it.
  if (isSame(pod, host)) for (const { address } of pod.addr.list(index)) pod.addr.del({ index, address })
  // Whoever has had the device may have given it a name that the host has already, and none would arrive.
  for (const other of altNames.filter(text => host.link.findAltName(text))) pod.link.removeAltName(other)
  const isFree = pod.link.find(name) === undefined
  pod.requestAll([
    ...(isFree ? [pod.link.setting(index, { up: false }), pod.link.setting(index, { name })] : []),
    pod.link.setting(index, { netnsFd: host.fd, name }),
  ])
}

/** What the reference plugin notes of a device, and we as well: its name, as the alias. */
const pastInAlias = ({ alias = '', mtu, address: mac = '' }: Link): Past | undefined =>
  isLinkName(alias) ? { name: alias, mtu, mac, up: false, alias: '' } : undefined

/**
 * The past of a device that the reference plugin has lent.
 * @param device the one that the configuration names; while it is on the host, the link in the container is another
 */
export const pastByReference = (
  host: Namespace, link: Link | undefined, device: string | undefined,
): Past | undefined => {
  if (!link || link.loopback || marksOn(link, host).length > 0) return undefined
  const isAtHome = device !== undefined && isLinkName(device) && host.link.find(device) !== undefined
  return isAtHome && link.alias !== device ? undefined : pastInAlias(link)
}

/**
 * Brings an attachment's device home from wherever it is; fine when there is none. One whose name another link of the
 * host has by now stays where it is, switched off.
 * @param device the name that the configuration gives it
 * @throws CniError 106 when its name is taken, NetlinkError
 */
export const takeBack = (
  host: Namespace, pod: Namespace | undefined, attachment: Attachment, device?: string,
): void => whileHostIsLocked('exclusive', () => {
  const lent = pod && findLent(pod, host, attachment)
  const link = lent ?? pod?.link.find(attachment.ifName)
  const past = lent ? pastOf(lent, host) ?? pastInAlias(lent) : pastByReference(host, link, device)
  if (pod && link && (lent || past)) {
    const name = past?.name ?? link.name
    sendHome(host, pod, link, name)
    settle(host, host.link.get(name), past)
  }
  // One that is here already, because the call that lent it was killed or its container's namespace has ended.
  runAll(strays(host, mark(host, attachment)).map(stray => () => settle(host, stray)))
})

/** Makes the devices of a network's attachments that no longer live what they were, as far as they have come home. */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void =>
  whileHostIsLocked('exclusive', () => {
    const keep = valid.map(attachment => mark(host, attachment))
    const stale = strays(host, networkMark(host, network))
      .filter(link => !keep.some(own => marksOn(link, host, own).length > 0))
    runAll(stale.map(link => () => settle(host, link)))
  })
