// Published ports: ports of the host that lead to ports of a container. Native state is nftables in a table of our own;
// the chains of the Go suite are written on request and always removed.
import { isAvailable, tables } from '#netlink/nftables/query.ts'
import type { Attachment } from './attachment.ts'
import * as localhost from './localhost.ts'
import type { Namespace } from './namespace.ts'
import { refuseBound } from './port-holder.ts'
import type { HostPort, Publication } from './publication.ts'
import type { Flow } from './published-flows.ts'
import { claim } from './published-nftables-claim.ts'
import { collect as collectNative, remove as removeNative, type Removed } from './published-nftables-removal.ts'
import { published } from './published-nftables-table.ts'
import { add as addNative, addGuard } from './published-nftables.ts'
import { runAll } from './steps.ts'
import { hasIpv6 } from './sysctl.ts'
import { fullName } from './table.ts'

// What few calls need is read in when they do.
globalThis.require ??= process.getBuiltinModule('node:module').createRequire(import.meta.url)
const checking = (): typeof import('./published-nftables-check.ts') => require('#net/published-nftables-check.ts')
const flows = (): typeof import('./published-flows.ts') => require('#net/published-flows.ts')
const foreign = (): typeof import('./published-foreign.ts') => require('#net/published-foreign.ts')
const iptables = (): typeof import('./published-iptables.ts') => require('#net/published-iptables.ts')
const chains = (): typeof import('./published-iptables-removal.ts') => require('#net/published-iptables-removal.ts')
const programs = (): typeof import('./iptables.ts') => require('#net/iptables.ts')
const reference = (): typeof import('./published-reference.ts') => require('#net/published-reference.ts')

/** Who writes the rules: we through netlink, or `iptables-restore` with the texts of the Go suite. */
export type Backend = 'nftables' | 'iptables'

/** Whether the Go suite's own tables for nftables are there. */
const hasReference = (present: ReadonlySet<string>): boolean =>
  present.has('ip cni_hostport') || present.has('ip6 cni_hostport')

const hasIptables = (present: ReadonlySet<string>): boolean => present.has('ip nat') || present.has('ip6 nat')

/**
 * Publishes the ports of an attachment, in the place of what it has published before.
 * @throws PortTaken when another container or a program of the host has one of them, before anything has changed;
 * NetlinkError, or Error with the words of iptables-restore
 */
export const add = (host: Namespace, publication: Publication, backend: Backend = 'nftables'): void => {
  const { mappings } = publication
  if (mappings.length === 0) return
  refuseBound(host, publication)
  const refuse = (): void => {
    const present = tables(host.netfilter)
    if (hasReference(present) || hasIptables(present)) foreign().refusePublished(host, present, publication)
    // The maps refuse by themselves what is to be in them.
    if (backend === 'iptables' && present.has(fullName(published))) claim(host, publication, mappings, true)
  }
  if (backend === 'nftables') {
    refuse()
    addNative(host, publication)
  } else {
    iptables().add(host, publication, refuse)
    addGuard(host, publication)
  }
  if (mappings.some(({ protocol }) => protocol === 'udp')) flows().forgetEarlier(host, mappings)
}

const forgetRemoved = (host: Namespace, { ports }: Removed): void => {
  const gone = ports.filter(({ key }) => key.startsWith('udp')).map(({ family, key, value }) => {
    const [, address = '', port] = key.split(' . ')
    const flow: Flow = port === undefined
      ? { family, hostIp: undefined, hostPort: Number(address) }
      : { family, hostIp: address, hostPort: Number(port) }
    return { flow, container: value.split(' . ')[0]! }
  })
  if (gone.length === 0) return
  flows().forgetLater(host, gone.map(({ flow }) => flow), new Set(gone.map(({ container }) => container)))
}

/**
 * Removes everything that publishes ports of an attachment, whichever program and backend wrote it; fine when there is
 * nothing.
 * @param ports which they are, as far as that is known; without, they are looked for
 * @param addresses the container's, as far as they are known; the Go suite keeps no networks of a container apart, and
 * a link that a flushed ruleset has left open is found by them
 * @throws the first error, after everything has been tried
 */
export const remove = (
  host: Namespace, attachment: Attachment, ports?: readonly HostPort[], addresses?: readonly string[],
): void => {
  const present = tables(host.netfilter)
  let found = false
  runAll([
    () => {
      if (!present.has(fullName(published))) return localhost.closeUnguarded(host, addresses)
      const removed = removeNative(host, attachment, ports)
      found = removed.any
      forgetRemoved(host, removed)
    },
    () => { if (hasReference(present)) reference().remove(host, present, attachment, addresses) },
    () => { if (hasIptables(present)) chains().remove(host, present, attachment) },
    // Each attachment has been set up once, by one backend. Starts nothing on a host without tables of that kind.
    () => { if (!found) chains().removeLegacy(host, attachment) },
  ])
}

/**
 * Sees that the ports of an attachment are published, as `backend` does it or as the Go suite had done it before an
 * upgrade.
 * @throws Error naming what is missing
 */
export const check = (host: Namespace, publication: Publication, backend: Backend = 'nftables'): void => {
  if (publication.mappings.length === 0) return
  const ways = {
    nftables: () => checking().check(host, publication),
    iptables: () => {
      iptables().check(host, publication)
      checking().checkGuard(host, publication)
    },
  }
  try {
    ways[backend]()
  } catch (fault) {
    const present = tables(host.netfilter)
    if (hasReference(present) && reference().covers(host, publication)) return
    if (backend === 'nftables' && chains().areThere(host, present, publication.attachment)) return ways.iptables()
    throw fault
  }
}

/**
 * Removes what is left of a network's attachments that are not among `valid`, whichever program and backend wrote it.
 * @throws the first error, after everything has been tried
 */
export const collect = (host: Namespace, network: string, valid: readonly Attachment[]): void => {
  const present = tables(host.netfilter)
  runAll([
    () => { if (present.has(fullName(published))) forgetRemoved(host, collectNative(host, network, valid)) },
    () => { if (hasReference(present)) reference().collect(host, present, valid) },
    () => { if (hasIptables(present)) chains().collect(host, present, network, valid) },
    () => chains().collectLegacy(host, network, valid),
  ])
}

/**
 * Sees that this host can publish ports.
 * @returns what it lacks, undefined when nothing
 */
export const lacking = (host: Namespace, backend: Backend): string | undefined => {
  if (backend === 'nftables') return isAvailable(host.netfilter) ? undefined : 'this kernel has no nftables'
  try {
    for (const family of host.run(hasIpv6) ? ['ipv4', 'ipv6'] as const : ['ipv4'] as const)
      programs().readTable(host, { family, table: 'nat' })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
