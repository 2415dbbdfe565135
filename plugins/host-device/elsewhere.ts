// A device that is not on the host: whether there is such a device at all, and which container has it.
import { CniError } from '#cni/errors.ts'
import { isOwnNetns, Namespace } from '#net/namespace.ts'
import type { Link } from '#netlink/route/link.ts'
import { tolerate } from '#sys/errno.ts'
import { listDirectory, readText, status } from '#sys/file.ts'
import type { Device } from './device.ts'
import { isLinkName, pastOf } from './past.ts'
import { hasLinks } from './sysfs.ts'

/** Files that hold network namespaces, `/run/netns/NAME`: proc_pid_mountinfo(5). */
const heldByFiles = (): readonly string[] =>
  (readText('/proc/self/mountinfo') ?? '').split('\n')
    .map(line => line.split(' '))
    .filter(([, , , root = '']) => root.startsWith('net:['))
    .map(([, , , , path = '']) => path.replace(/\\(\d{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8))))

const heldByProcesses = (): readonly string[] =>
  listDirectory('/proc').filter(name => /^\d+$/.test(name)).map(id => `/proc/${id}/ns/net`)

/** A path to each network namespace of this machine but our own. */
const otherNamespaces = (): readonly string[] => {
  const paths = new Map<number, string>()
  for (const path of [...heldByFiles(), ...heldByProcesses()]) {
    const inode = tolerate(['EACCES', 'EPERM', 'ESRCH'], () => status(path))?.inode
    if (inode !== undefined && !paths.has(inode) && !isOwnNetns(path)) paths.set(inode, path)
  }
  return [...paths.values()]
}

/** Looks for a device in a namespace by what its marks, or the reference plugin's alias, say that it was. */
const lentTo = (path: string, host: Namespace, device: Device): Link | undefined => {
  try {
    using where = Namespace.at(path)
    return where.link.list().find(link => {
      const { alias = '', address: mac = '', mtu, up } = link
      const past = pastOf(link, host) ?? (isLinkName(alias) ? { name: alias, mac, mtu, up, alias } : undefined)
      return past !== undefined && device.was(past)
    })
  } catch {
    return undefined // it has gone in the meantime
  }
}

/** Where a device is instead. */
const findElsewhere = (host: Namespace, device: Device): string | undefined => {
  for (const path of otherNamespaces()) {
    const link = lentTo(path, host, device)
    if (link) return `${path}, as ${link.name}`
  }
  return device.directory !== undefined && hasLinks(device.directory) ? 'another network namespace' : undefined
}

const absence = ({ what, directory }: Device): CniError =>
  directory === undefined
    ? new CniError('notAvailable', `${what} does not exist on this host`, 'see `ip link`')
    : new CniError('notAvailable', `${what} has no network link`, `see ${directory}: is its driver bound?`)

/** The error for a device that is not on the host: 11 when a container has it, 50 when there is none. */
export const unavailable = (host: Namespace, device: Device): CniError => {
  const place = findElsewhere(host, device)
  if (place === undefined) return absence(device)
  return new CniError(
    'tryAgainLater',
    `${device.what} is in use: it is in ${place}`,
    'delete the attachment that has it, or name another device',
  )
}

/** For STATUS: a device that a container has, or that has come home under another name, is not missing. */
export const requirePresence = (host: Namespace, device: Device): void => {
  const isHere = (link: Link): boolean => {
    const past = pastOf(link, host)
    return device.is(link) || (past !== undefined && device.was(past))
  }
  if (!host.link.list().some(isHere) && findElsewhere(host, device) === undefined) throw absence(device)
}
