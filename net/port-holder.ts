// Programs of the host that hold a port which is to be published: publishing it would cut them off.
import { tolerate } from '#sys/errno.ts'
import { listDirectory, readLink, readText, status } from '#sys/file.ts'
import { familyOf } from '#netlink/ip.ts'
import { waiting, type BoundSocket } from '#netlink/sock-diag.ts'
import { protocol as netlink, Socket } from '#netlink/socket.ts'
import type { Namespace } from './namespace.ts'
import { PortTaken } from './port-taken.ts'
import type { Mapping, Protocol, Publication } from './publication.ts'

const MAPPED = '::ffff:'

/** As bind(2) judges it: whether a socket is in the way of one on the mapping's address, or all of its family. */
const isInTheWay = ({ address, onlyIpv6, port }: BoundSocket, { hostIp, hostPort, containerIp }: Mapping): boolean => {
  if (port !== hostPort) return false
  const isMapped = address.startsWith(MAPPED)
  const own = isMapped ? address.slice(MAPPED.length) : address
  if (own === '::' && familyOf(containerIp) === 'ipv4') return !onlyIpv6
  if (familyOf(own) !== familyOf(containerIp)) return false
  return hostIp === undefined || own === '0.0.0.0' || own === '::' || own === hostIp
}

/** Asking after SCTP would load it into a kernel that does without. */
const isSpoken = (host: Namespace, protocol: Protocol): boolean =>
  protocol !== 'sctp' || host.run(() => status('/proc/thread-self/net/sctp')) !== undefined

const socketsOf = (socket: Socket, protocol: Protocol): BoundSocket[] =>
  // A kernel without inet_diag does not tell.
  tolerate(['ENOENT', 'EOPNOTSUPP'], () =>
    (['ipv4', 'ipv6'] as const).flatMap(family => waiting(socket, family, protocol))) ?? []

interface Process { readonly id: string; readonly name: string; readonly words: readonly string[] }

/** The processes that have a socket open, as far as they can be seen. They come and go. */
const holdersOf = (inode: number): Process[] => {
  const passing = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL']
  const has = (id: string): boolean => tolerate(passing, () => listDirectory(`/proc/${id}/fd`)
    .some(fd => tolerate(passing, () => readLink(`/proc/${id}/fd/${fd}`)) === `socket:[${inode}]`)) ?? false
  const text = (file: string): string => tolerate(passing, () => readText(`/proc/${file}`)) ?? ''
  return listDirectory('/proc').filter(id => /^\d+$/.test(id) && has(id))
    .map(id => ({ id, name: text(`${id}/comm`).trim(), words: text(`${id}/cmdline`).split('\0') }))
}

/**
 * Refuses ports that a program of the host waits on. Podman's monitor of a container, which knows it by its id, holds
 * the container's own.
 * @throws PortTaken naming the program
 */
export const refuseBound = (host: Namespace, { attachment, mappings }: Publication): void => {
  using socket = host.run(() => tolerate(['EPROTONOSUPPORT'], () => new Socket(netlink.diagnosis)))
  if (socket === undefined) return
  for (const protocol of new Set(mappings.map(mapping => mapping.protocol))) {
    const sockets = isSpoken(host, protocol) ? socketsOf(socket, protocol) : []
    for (const mapping of mappings.filter(mapping => mapping.protocol === protocol)) {
      for (const found of sockets.filter(candidate => isInTheWay(candidate, mapping))) {
        const holders = holdersOf(found.inode)
        if (holders.some(({ words }) => words.includes(attachment.containerId))) continue
        const names = holders.map(({ id, name }) => `process ${id} (${name})`).join(', ') || 'a process'
        throw new PortTaken(mapping, `bound to ${found.address} by ${names}`)
      }
    }
  }
}
