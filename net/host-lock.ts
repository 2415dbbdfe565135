// Mutual exclusion on one host, for links that several attachments share: who joins one holds the shared lock from
// looking for it until its use can be seen, who removes unused ones holds the exclusive lock.
import { tolerate } from '#sys/errno.ts'
import { Lock } from '#sys/lock.ts'

/**
 * A file that only root of the host's namespace can open for writing, another one in each network namespace. Nothing
 * has to be made, and nothing could stay behind; it is never written to.
 */
const LOCK = '/proc/sys/net/ipv4/route/flush'

// Where /proc/sys cannot be written one has to live with the race.
const take = (kind: 'shared' | 'exclusive'): Lock | undefined =>
  tolerate(['EACCES', 'EPERM', 'EROFS', 'ENOENT'], () => Lock.onExisting(LOCK, kind))

/** Runs `step` while nobody on this host runs an `exclusive` one or, being exclusive, any at all. */
export const whileHostIsLocked = <T>(kind: 'shared' | 'exclusive', step: () => T): T => {
  using lock = take(kind)
  void lock
  return step()
}
